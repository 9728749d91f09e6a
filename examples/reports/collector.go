// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// collector keeps the finished spans of all providers of this process, by trace. It keeps a
// limited number: further spans of a trace are only counted, and a new trace replaces the
// oldest one.
type collector struct {
	mu     sync.Mutex
	traces map[trace.TraceID]*collected
	order  []trace.TraceID // the oldest first
	// changed has an element when a trace may have finished since it was last read.
	changed chan struct{}
}

const (
	mostTraces = 200
	mostSpans  = 500 // of one trace
)

// collected holds the spans of one trace.
type collected struct {
	id    trace.TraceID
	spans []sdktrace.ReadOnlySpan
	more  int       // spans that were only counted
	open  int       // spans that have begun and not ended
	since time.Time // when the last span ended
}

var _ sdktrace.SpanProcessor = (*collector)(nil)

func newCollector() *collector {
	return &collector{traces: make(map[trace.TraceID]*collected), changed: make(chan struct{}, 1)}
}

// OnStart counts the span as open.
func (c *collector) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(s.SpanContext().TraceID()).open++
}

// OnEnd keeps the span.
func (c *collector) OnEnd(s sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.of(s.SpanContext().TraceID())
	if len(t.spans) < mostSpans {
		t.spans = append(t.spans, s)
	} else {
		t.more++
	}
	t.open = max(t.open-1, 0) // a trace that was replaced does not know its open spans
	t.since = time.Now()
	if t.open == 0 {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
}

// Shutdown does nothing: the spans stay, to be printed.
func (c *collector) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (c *collector) ForceFlush(context.Context) error { return nil }

// of returns the spans of a trace. The caller holds c.mu.
func (c *collector) of(id trace.TraceID) *collected {
	t := c.traces[id]
	if t == nil {
		if len(c.order) == mostTraces {
			c.forget(c.order[0])
		}
		t = &collected{id: id, since: time.Now()}
		c.traces[id] = t
		c.order = append(c.order, id)
	}
	return t
}

// forget drops a trace. The caller holds c.mu.
func (c *collector) forget(id trace.TraceID) {
	delete(c.traces, id)
	c.order = slices.DeleteFunc(c.order, func(other trace.TraceID) bool { return other == id })
}

// wait waits until no span of a trace is open, or ctx is canceled. Then it removes and
// returns the trace.
func (c *collector) wait(ctx context.Context, id trace.TraceID) *collected {
	for {
		c.mu.Lock()
		t := c.of(id)
		if t.open == 0 || ctx.Err() != nil {
			c.forget(id)
			c.mu.Unlock()
			return t
		}
		c.mu.Unlock()
		select {
		case <-c.changed:
		case <-ctx.Done():
		}
	}
}

// each calls show for each trace when none of its spans has been open for the time quiet:
// there may be none for a moment, while a message is on its way. When ctx is canceled, it
// shows the other traces, and returns.
func (c *collector) each(ctx context.Context, quiet time.Duration, show func(*collected)) {
	for {
		finished, next := c.finished(time.Now(), quiet)
		for _, t := range finished {
			show(t)
		}
		var again <-chan time.Time
		if next > 0 {
			again = time.After(next)
		}
		select {
		case <-c.changed:
		case <-again:
		case <-ctx.Done():
			for _, t := range c.all() {
				show(t)
			}
			return
		}
	}
}

// finished removes and returns the traces that are finished at the time now. It also returns
// when to call it again, or 0 if no other trace is about to finish.
func (c *collector) finished(now time.Time, quiet time.Duration) (traces []*collected, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Clone(c.order) {
		t := c.traces[id]
		if t.open > 0 {
			continue
		}
		if left := quiet - now.Sub(t.since); left > 0 {
			if next == 0 || left < next {
				next = left
			}
			continue
		}
		c.forget(id)
		traces = append(traces, t)
	}
	return traces, next
}

// all removes and returns all traces.
func (c *collector) all() []*collected {
	c.mu.Lock()
	defer c.mu.Unlock()
	var traces []*collected
	for _, id := range c.order {
		traces = append(traces, c.traces[id])
	}
	clear(c.traces)
	c.order = nil
	return traces
}

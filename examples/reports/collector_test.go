// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func TestTracesAreShownWhenTheyAreQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCollector()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(c)).Tracer("test")
		began := time.Now()
		var shown []string
		ctx, cancel := context.WithCancel(t.Context())
		var each sync.WaitGroup
		each.Go(func() {
			c.each(ctx, quiet, func(t *collected) {
				shown = append(shown, fmt.Sprintf("%s, %d spans, at %v", t.spans[len(t.spans)-1].Name(), len(t.spans), time.Since(began)))
			})
		})

		// A trace whose second span begins while none is open, and which takes long.
		first, span := tracer.Start(t.Context(), "publish")
		span.End()
		time.Sleep(quiet - time.Millisecond)
		_, span = tracer.Start(first, "process")
		time.Sleep(10 * quiet)
		// Another one ends meanwhile.
		_, other := tracer.Start(t.Context(), "GET")
		other.End()
		time.Sleep(2 * quiet)
		span.End()
		time.Sleep(2 * quiet)
		// What is open or not quiet yet when the program ends.
		_, open := tracer.Start(first, "late")
		_, last := tracer.Start(t.Context(), "last")
		last.End()
		open.End()
		cancel()
		each.Wait()

		want := []string{
			fmt.Sprintf("GET, 1 spans, at %v", 12*quiet-time.Millisecond),
			fmt.Sprintf("process, 2 spans, at %v", 14*quiet-time.Millisecond),
			fmt.Sprintf("late, 1 spans, at %v", 15*quiet-time.Millisecond),
			fmt.Sprintf("last, 1 spans, at %v", 15*quiet-time.Millisecond),
		}
		if fmt.Sprint(shown) != fmt.Sprint(want) {
			t.Errorf("shown are\n%q, want\n%q", shown, want)
		}
	})
}

func TestCollectorIsBounded(t *testing.T) {
	c := newCollector()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(c)).Tracer("test")
	ctx, root := tracer.Start(t.Context(), "root")
	for range mostSpans + 10 {
		_, span := tracer.Start(ctx, "child")
		span.End()
	}
	root.End()
	if got := c.wait(t.Context(), root.SpanContext().TraceID()); len(got.spans) != mostSpans || got.more != 11 {
		t.Errorf("kept are %d spans and counted %d more, want %d and 11", len(got.spans), got.more, mostSpans)
	}

	_, oldest := tracer.Start(t.Context(), "oldest")
	for range mostTraces {
		_, span := tracer.Start(t.Context(), "another")
		defer span.End()
	}
	oldest.End() // it has been forgotten that this one was open
	if len(c.traces) != mostTraces || len(c.order) != mostTraces {
		t.Errorf("kept are %d traces, in an order of %d, want %d", len(c.traces), len(c.order), mostTraces)
	}
	if got := c.traces[oldest.SpanContext().TraceID()]; got == nil || got.open != 0 {
		t.Errorf("the trace that gave way and came back is %+v, want it without open spans", got)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	c := newCollector()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(c)).Tracer("test")
	open, root := tracer.Start(t.Context(), "root")
	_, child := tracer.Start(open, "child")
	child.End()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := c.wait(ctx, root.SpanContext().TraceID()); len(got.spans) != 1 || got.open != 1 {
		t.Errorf("of a trace with one span open and one ended there is %+v", got)
	}
	root.End()
}

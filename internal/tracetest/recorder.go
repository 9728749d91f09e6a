// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Recorder is a tracer provider that keeps the spans that have ended, as an exporter
// gets them.
type Recorder struct {
	*sdktrace.TracerProvider

	mu      sync.Mutex
	started int
	ended   []sdktrace.ReadOnlySpan
	changed chan struct{} // closed when the next span ends
}

// NewRecorder returns a recorder; opts may set a sampler.
func NewRecorder(t *testing.T, opts ...sdktrace.TracerProviderOption) *Recorder {
	t.Helper()
	r := &Recorder{changed: make(chan struct{})}
	r.TracerProvider = sdktrace.NewTracerProvider(append(slices.Clip(opts), sdktrace.WithSpanProcessor(r))...)
	t.Cleanup(func() { _ = r.TracerProvider.Shutdown(context.Background()) })
	return r
}

// Spans waits until n spans have ended and returns them in the order in which they
// did. More than n, or a span that has not ended, fails the test.
func (r *Recorder) Spans(t *testing.T, n int) []sdktrace.ReadOnlySpan {
	t.Helper()
	late := time.After(Patience)
	for {
		r.mu.Lock()
		started, ended, changed := r.started, slices.Clone(r.ended), r.changed
		r.mu.Unlock()
		if len(ended) >= n {
			if len(ended) != n || started != n {
				t.Fatalf("%d spans started, %d ended, want %d: %v", started, len(ended), n, Names(ended))
			}
			return ended
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%d spans started, %d ended, want %d: %v", started, len(ended), n, Names(ended))
		}
	}
}

// Ended returns the spans that have ended so far.
func (r *Recorder) Ended() []sdktrace.ReadOnlySpan {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ended)
}

// AssertAllEnded asserts that each span that has started has ended.
func (r *Recorder) AssertAllEnded(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started != len(r.ended) {
		t.Errorf("%d spans started, %d ended", r.started, len(r.ended))
	}
}

// Names returns the names of spans.
func Names(spans []sdktrace.ReadOnlySpan) []string {
	var names []string
	for _, s := range spans {
		names = append(names, s.Name())
	}
	return names
}

// OnStart counts a span. With OnEnd it makes r a span processor.
func (r *Recorder) OnStart(context.Context, sdktrace.ReadWriteSpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started++
}

// OnEnd keeps a span.
func (r *Recorder) OnEnd(span sdktrace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, span)
	close(r.changed)
	r.changed = make(chan struct{})
}

// Shutdown does nothing.
func (r *Recorder) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (r *Recorder) ForceFlush(context.Context) error { return nil }

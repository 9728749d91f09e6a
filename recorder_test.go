// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// patience is how long a test waits for an event before it fails.
const patience = 10 * time.Second

// testContext ends with the test, or when the test has run out of patience.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	return ctx
}

// onEachServer runs test against a real redis-server and against miniredis.
func onEachServer(t *testing.T, test func(t *testing.T, rdb *redis.Client)) {
	t.Helper()
	t.Run("redis-server", func(t *testing.T) {
		test(t, redistest.Start(t).Client())
	})
	t.Run("miniredis", func(t *testing.T) {
		rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = rdb.Close() })
		test(t, rdb)
	})
}

// recorder is a tracer provider that keeps the spans that have ended, as an
// exporter would see them.
type recorder struct {
	*sdktrace.TracerProvider

	mu      sync.Mutex
	started int
	ended   []sdktrace.ReadOnlySpan
	changed chan struct{}
}

// newRecorder returns a recorder; opts may set a sampler.
func newRecorder(t *testing.T, opts ...sdktrace.TracerProviderOption) *recorder {
	t.Helper()
	r := &recorder{changed: make(chan struct{})}
	r.TracerProvider = sdktrace.NewTracerProvider(append(slices.Clip(opts), sdktrace.WithSpanProcessor(r))...)
	t.Cleanup(func() { _ = r.TracerProvider.Shutdown(context.Background()) })
	return r
}

func (r *recorder) OnStart(context.Context, sdktrace.ReadWriteSpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started++
}

func (r *recorder) OnEnd(span sdktrace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, span)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Shutdown(context.Context) error   { return nil }
func (r *recorder) ForceFlush(context.Context) error { return nil }

// spans waits until n spans have ended and returns them in the order in which
// they did. More than n, or a span that has not ended, fails the test.
func (r *recorder) spans(t *testing.T, n int) []sdktrace.ReadOnlySpan {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		started, ended, changed := r.started, slices.Clone(r.ended), r.changed
		r.mu.Unlock()
		if len(ended) >= n {
			if len(ended) != n || started != n {
				t.Fatalf("%d spans started, %d ended, want %d: %v", started, len(ended), n, names(ended))
			}
			return ended
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%d spans started, %d ended, want %d: %v", started, len(ended), n, names(ended))
		}
	}
}

func names(spans []sdktrace.ReadOnlySpan) []string {
	var names []string
	for _, s := range spans {
		names = append(names, s.Name())
	}
	return names
}

func assertParent(t *testing.T, child, parent sdktrace.ReadOnlySpan) {
	t.Helper()
	if got, want := child.Parent().SpanID(), parent.SpanContext().SpanID(); got != want {
		t.Errorf("parent of %q is %v, want %v (%q)", child.Name(), got, want, parent.Name())
	}
	if got, want := child.SpanContext().TraceID(), parent.SpanContext().TraceID(); got != want {
		t.Errorf("trace of %q is %v, want %v as %q has it", child.Name(), got, want, parent.Name())
	}
}

func assertRoot(t *testing.T, s sdktrace.ReadOnlySpan) {
	t.Helper()
	if s.Parent().IsValid() {
		t.Errorf("%q has the parent %v, want a root", s.Name(), s.Parent().SpanID())
	}
}

func assertKind(t *testing.T, s sdktrace.ReadOnlySpan, kind trace.SpanKind) {
	t.Helper()
	if s.SpanKind() != kind {
		t.Errorf("kind of %q is %v, want %v", s.Name(), s.SpanKind(), kind)
	}
}

// assertLinks asserts that s links to the given spans, and to no others.
func assertLinks(t *testing.T, s sdktrace.ReadOnlySpan, to ...trace.SpanContext) {
	t.Helper()
	links := s.Links()
	if len(links) != len(to) {
		t.Errorf("%q has %d links, want %d", s.Name(), len(links), len(to))
		return
	}
	for i, want := range to {
		if got := links[i].SpanContext; got.TraceID() != want.TraceID() || got.SpanID() != want.SpanID() {
			t.Errorf("link %d of %q is to %v, want %v", i, s.Name(), got.SpanID(), want.SpanID())
		}
	}
}

// assertAttributes asserts that s has the given attributes, and no others.
func assertAttributes(t *testing.T, s sdktrace.ReadOnlySpan, want ...attribute.KeyValue) {
	t.Helper()
	got, wanted := attribute.NewSet(s.Attributes()...), attribute.NewSet(want...)
	if !got.Equals(&wanted) {
		t.Errorf("attributes of %q are\n%v, want\n%v", s.Name(), got.Encoded(attribute.DefaultEncoder()), wanted.Encoded(attribute.DefaultEncoder()))
	}
}

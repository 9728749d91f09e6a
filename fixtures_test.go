// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// readySub waits until the server has confirmed sub, and closes it with the test.
func readySub(t *testing.T, sub *tracedpubsub.PubSub) *tracedpubsub.PubSub {
	t.Helper()
	t.Cleanup(func() { _ = sub.Close() })
	if err := sub.Ready(testContext(t)); err != nil {
		t.Fatalf("Ready of %v: %v", sub, err)
	}
	return sub
}

// readyRaw is readySub for a subscription of go-redis' own, to one name.
func readyRaw(t *testing.T, sub *redis.PubSub) *redis.PubSub {
	t.Helper()
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(testContext(t)); err != nil {
		t.Fatalf("confirmation of %v: %v", sub, err)
	}
	return sub
}

func nextMessage(t *testing.T, sub *tracedpubsub.PubSub) *tracedpubsub.Message {
	t.Helper()
	m, err := sub.ReceiveMessage(testContext(t))
	if err != nil {
		t.Fatalf("receive from %v: %v", sub, err)
	}
	return m
}

func nextRaw(t *testing.T, sub *redis.PubSub) *redis.Message {
	t.Helper()
	m, err := sub.ReceiveMessage(testContext(t))
	if err != nil {
		t.Fatalf("receive from %v: %v", sub, err)
	}
	return m
}

// assertSent asserts that a publish has succeeded.
func assertSent(t *testing.T, cmd *redis.IntCmd) {
	t.Helper()
	if err := cmd.Err(); err != nil {
		t.Fatalf("%v: %v", cmd.Name(), err)
	}
}

// withCaller returns a context with a span that has not ended: that of whoever calls
// the library.
func withCaller(t *testing.T, ctx context.Context) (context.Context, trace.SpanContext) {
	t.Helper()
	ctx, span := newRecorder(t).Tracer("caller").Start(ctx, "caller")
	return ctx, span.SpanContext()
}

// assertChildOf is assertParent for a parent that has not ended.
func assertChildOf(t *testing.T, child sdktrace.ReadOnlySpan, parent trace.SpanContext) {
	t.Helper()
	if got, want := child.Parent().SpanID(), parent.SpanID(); got != want {
		t.Errorf("parent of %q is %v, want %v", child.Name(), got, want)
	}
	if got, want := child.SpanContext().TraceID(), parent.TraceID(); got != want {
		t.Errorf("trace of %q is %v, want %v", child.Name(), got, want)
	}
}

func assertName(t *testing.T, s sdktrace.ReadOnlySpan, name string) {
	t.Helper()
	if s.Name() != name {
		t.Errorf("span is called %q, want %q", s.Name(), name)
	}
}

// assertSucceeded asserts that s tells of no error.
func assertSucceeded(t *testing.T, s sdktrace.ReadOnlySpan) {
	t.Helper()
	if s.Status().Code != codes.Unset {
		t.Errorf("status of %q is %v %q, want none", s.Name(), s.Status().Code, s.Status().Description)
	}
	if kind, ok := attributeOf(s, "error.type"); ok {
		t.Errorf("error.type of %q is %v, want none", s.Name(), kind.AsString())
	}
}

// assertFailed asserts that s tells of an error, by status and error.type, and
// not by an event.
func assertFailed(t *testing.T, s sdktrace.ReadOnlySpan, errorType string) {
	t.Helper()
	if s.Status().Code != codes.Error {
		t.Errorf("status of %q is %v, want %v", s.Name(), s.Status().Code, codes.Error)
	}
	if got, _ := attributeOf(s, "error.type"); got.AsString() != errorType {
		t.Errorf("error.type of %q is %q, want %q", s.Name(), got.AsString(), errorType)
	}
	if n := len(s.Events()); n != 0 {
		t.Errorf("%q has %d events, want none", s.Name(), n)
	}
}

func attributeOf(s sdktrace.ReadOnlySpan, key attribute.Key) (attribute.Value, bool) {
	set := attribute.NewSet(s.Attributes()...)
	return set.Value(key)
}

// messaging is what every span says: operation is publish, spublish, create or
// process; extra is what it says besides.
func messaging(operation, channel string, extra ...attribute.KeyValue) []attribute.KeyValue {
	operationType := operation
	if operation == "publish" || operation == "spublish" {
		operationType = "send"
	}
	return append([]attribute.KeyValue{
		attribute.String("messaging.system", "redis"),
		attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.operation.type", operationType),
		attribute.String("messaging.destination.name", channel),
	}, extra...)
}

// served is messaging, with the server of rdb.
func served(rdb *redis.Client, operation, channel string, extra ...attribute.KeyValue) []attribute.KeyValue {
	host, port, _ := net.SplitHostPort(rdb.Options().Addr)
	n, _ := strconv.Atoi(port)
	return messaging(operation, channel, append([]attribute.KeyValue{
		attribute.String("server.address", host),
		attribute.Int("server.port", n),
	}, extra...)...)
}

func heardBy(n int) attribute.KeyValue { return attribute.Int("tracedpubsub.receivers", n) }

func templated(name string) attribute.KeyValue {
	return attribute.String("messaging.destination.template", name)
}

// errorLog keeps what an error handler was told.
type errorLog struct {
	mu     sync.Mutex
	errors []error
}

func (r *errorLog) option() tracedpubsub.Option { return tracedpubsub.WithErrorHandler(r.handle) }

func (r *errorLog) handle(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, err)
}

func (r *errorLog) all() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errors)
}

// assertOne asserts that there was one report, and that it is want.
func (r *errorLog) assertOne(t *testing.T, want error) {
	t.Helper()
	if all := r.all(); len(all) != 1 || !errors.Is(all[0], want) {
		t.Errorf("the error handler was told %v, want %v once", all, want)
	}
}

func (r *errorLog) assertNone(t *testing.T) {
	t.Helper()
	if all := r.all(); len(all) != 0 {
		t.Errorf("the error handler was told %v, want nothing", all)
	}
}

// ending is how a function has ended.
type ending struct {
	returned bool
	panicked any // nil: it has not; if it has not returned either, it has ended its goroutine
}

// endingOf runs f on a goroutine of its own and waits for it.
func endingOf(f func()) (end ending) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { end.panicked = recover() }()
		f()
		end.returned = true
	}()
	<-done
	return end
}

// sofar returns the spans that have ended by now.
func (r *recorder) sofar() []sdktrace.ReadOnlySpan {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ended)
}

// assertAttributeSet is assertAttributes for what is no span.
func assertAttributeSet(t *testing.T, what string, got, want []attribute.KeyValue) {
	t.Helper()
	g, w := attribute.NewSet(got...), attribute.NewSet(want...)
	if !g.Equals(&w) {
		t.Errorf("attributes of %s are\n%v, want\n%v", what, g.Encoded(attribute.DefaultEncoder()), w.Encoded(attribute.DefaultEncoder()))
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// Context returns a context that is canceled when the test ends, or after three times
// Patience.
func Context(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*Patience)
	t.Cleanup(cancel)
	return ctx
}

// WithCaller returns ctx with the span of a caller of the library. The span has not
// ended.
func WithCaller(t *testing.T, ctx context.Context) (context.Context, trace.SpanContext) {
	t.Helper()
	ctx, span := NewRecorder(t).Tracer("caller").Start(ctx, "caller")
	return ctx, span.SpanContext()
}

// SpanContext returns a remote span context with the given flags and tracestate.
func SpanContext(t *testing.T, flags trace.TraceFlags, state string) trace.SpanContext {
	t.Helper()
	ts, err := trace.ParseTraceState(state)
	if err != nil {
		t.Fatal(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags, TraceState: ts, Remote: true,
	})
}

// WithBaggage returns ctx with the baggage that text has, in W3C form.
func WithBaggage(t *testing.T, ctx context.Context, text string) context.Context {
	t.Helper()
	b, err := baggage.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return baggage.ContextWithBaggage(ctx, b)
}

// AssertBaggage asserts that ctx has the baggage that text has, and no more.
func AssertBaggage(t *testing.T, ctx context.Context, text string) {
	t.Helper()
	want, err := baggage.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	got := baggage.FromContext(ctx)
	if got.Len() != want.Len() {
		t.Errorf("baggage is %q, want %q", got, want)
	}
	for _, m := range want.Members() {
		if g := got.Member(m.Key()); g.String() != m.String() {
			t.Errorf("baggage member %q is %q, want %q", m.Key(), g, m)
		}
	}
}

// AssertExtract asserts that m.Extract returns a context with the producer as a remote
// span, and with its baggage.
func AssertExtract(t *testing.T, m *tracedpubsub.Message, producer sdktrace.ReadOnlySpan, baggage string) {
	t.Helper()
	ctx := m.Extract(t.Context())
	got, want := trace.SpanContextFromContext(ctx), producer.SpanContext()
	if got.TraceID() != want.TraceID() || got.SpanID() != want.SpanID() || !got.IsRemote() {
		t.Errorf("Extract gives %v, remote %v, want the producer %v", got.SpanID(), got.IsRemote(), want.SpanID())
	}
	AssertBaggage(t, ctx, baggage)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// disguised is a propagator of which nothing can be known but what it does.
type disguised struct{ propagation.TextMapPropagator }

// reversed looks like the composite of the SDK, and is none.
type reversed []propagation.TextMapPropagator

func (r reversed) Inject(_ context.Context, carrier propagation.TextMapCarrier) {
	carrier.Set("traceparent", "reversed")
}
func (r reversed) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context {
	return ctx
}
func (r reversed) Fields() []string { return []string{"traceparent"} }

var composite = propagation.NewCompositeTextMapPropagator

// An envelope has what the propagator injects, also where this package writes the
// traceparent in its place.
func TestAnEnvelopeHasWhatThePropagatorInjects(t *testing.T) {
	state, err := trace.ParseTraceState("vendor=1,other=2")
	if err != nil {
		t.Fatal(err)
	}
	member, err := baggage.NewMember("tenant", "acme")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	contexts := map[string]context.Context{
		"nothing":       t.Context(),
		"baggage alone": baggage.ContextWithBaggage(t.Context(), bag),
		"not valid":     trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceState: state})),
	}
	for flags := range 256 {
		for _, s := range []trace.TraceState{{}, state} {
			sc := trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{byte(flags), 15: 1}, SpanID: trace.SpanID{7: byte(flags) | 1},
				TraceFlags: trace.TraceFlags(flags), TraceState: s,
			})
			contexts[sc.TraceID().String()+s.String()] = trace.ContextWithSpanContext(contexts["baggage alone"], sc)
		}
	}
	for _, row := range []struct {
		name, reason string
		propagator   propagation.TextMapPropagator
	}{
		{"trace context", "by itself", propagation.TraceContext{}},
		{"both", "as most have it", composite(propagation.TraceContext{}, propagation.Baggage{})},
		{"baggage first", "the order is the user's", composite(propagation.Baggage{}, propagation.TraceContext{})},
		{"nested", "a composite of composites", composite(composite(propagation.TraceContext{}), propagation.Baggage{})},
		{"overwritten", "the last one wins", composite(propagation.TraceContext{}, reversed{})},
		{"overwriting", "the last one wins", composite(reversed{}, propagation.TraceContext{})},
		{"alike", "it has its own ideas", reversed{propagation.TraceContext{}}},
		{"pointer", "it is another type", &propagation.TraceContext{}},
		{"baggage", "there is no trace context", propagation.Baggage{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			as, known := tracedpubsub.WithPropagators(row.propagator), tracedpubsub.WithPropagators(disguised{row.propagator})
			for name, ctx := range contexts {
				got, err1 := tracedpubsub.Encode(ctx, "hello", as)
				want, err2 := tracedpubsub.Encode(ctx, "hello", known)
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				if string(got) != string(want) {
					t.Errorf("%s: the envelope of %q is\n%s, want\n%s", row.reason, name, got, want)
				}
			}
		})
	}
}

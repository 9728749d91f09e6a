// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// A consumer gets what the propagator extracts, also where this package reads the
// traceparent in its place.
func TestAConsumerGetsWhatThePropagatorExtracts(t *testing.T) {
	const traceID, spanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	parents := []string{
		"", "00", "00-" + traceID + "-" + spanID, "00-" + traceID + "-" + spanID + "-1", "00-" + traceID + "-" + spanID + "-01-",
		"00-" + traceID + "-" + spanID + "-01-extra", "01-" + traceID + "-" + spanID + "-01", "cc-" + traceID + "-" + spanID + "-01-extra",
		"ff-" + traceID + "-" + spanID + "-01", "0-" + traceID + "-" + spanID + "-011", "00_" + traceID + "-" + spanID + "-01",
		"00-" + traceID + "_" + spanID + "-01", "00-" + traceID + "-" + spanID + "_01", "00-" + strings.ToUpper(traceID) + "-" + spanID + "-01",
		"00-" + traceID + "-" + strings.ToUpper(spanID) + "-01", "00-" + traceID + "-" + spanID + "-0A", "00-" + strings.Repeat("0", 32) + "-" + spanID + "-01",
		"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01", "00-" + traceID[:31] + "g-" + spanID + "-01", "00-" + traceID + "-" + spanID[:15] + "\u00e9-1",
		" 00-" + traceID + "-" + spanID + "-01", "00-" + traceID + "-" + spanID + "-01 ",
	}
	for flags := range 256 {
		parents = append(parents, fmt.Sprintf("00-%s-%s-%02x", traceID, spanID, flags))
	}
	for _, trusted := range []bool{true, false} {
		options := func(p propagation.TextMapPropagator) []tracedpubsub.Option {
			opts := []tracedpubsub.Option{tracedpubsub.WithPropagators(p)}
			if !trusted {
				opts = append(opts, tracedpubsub.WithPublicEndpoint())
			}
			return opts
		}
		p := composite(propagation.TraceContext{}, propagation.Baggage{})
		as, known := options(p), options(disguised{p})
		valid := 0
		for _, parent := range parents {
			for _, others := range []string{"", `,"tracestate":"vendor=1"`, `,"tracestate":"="`, `,"baggage":"tenant=acme"`} {
				message := fmt.Sprintf(`{"tracedpubsub":1,"traceparent":%q%s,"payload":"hello"}`, parent, others)
				got, err1 := tracedpubsub.Decode(message, as...)
				want, err2 := tracedpubsub.Decode(message, known...)
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				gotContext, wantContext := got.Extract(t.Context()), want.Extract(t.Context())
				gotSpan, wantSpan := trace.SpanContextFromContext(gotContext), trace.SpanContextFromContext(wantContext)
				if !gotSpan.Equal(wantSpan) || baggage.FromContext(gotContext).String() != baggage.FromContext(wantContext).String() {
					t.Errorf("trusted %t: of %s is extracted %+v, want %+v", trusted, message, gotSpan, wantSpan)
				}
				if wantSpan.IsValid() {
					valid++
				}
			}
		}
		if valid < 16 || valid > 100 {
			t.Errorf("%d are valid: is that so?", valid)
		}
	}
}

// keeping is a propagator that keeps the traceparents that it finds.
type keeping struct{ found *[]string }

func (k keeping) Inject(_ context.Context, carrier propagation.TextMapCarrier) {
	*k.found = append(*k.found, carrier.Get("traceparent"))
}

func (keeping) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context { return ctx }

func (keeping) Fields() []string { return []string{"kept"} }

// What a propagator reads from the carrier stays what it was when the next message is
// written.
func TestAPropagatorMayKeepWhatItReads(t *testing.T) {
	var found, sent []string
	as := tracedpubsub.WithPropagators(composite(propagation.TraceContext{}, propagation.Baggage{}, keeping{&found}))
	for n := range byte(10) {
		message, err := tracedpubsub.Encode(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{n, 15: 1}, SpanID: trace.SpanID{n, 7: 1},
		})), "hello", as)
		if err != nil {
			t.Fatal(err)
		}
		e, err := tracedpubsub.Decode(string(message))
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, e.Carrier.Get("traceparent"))
	}
	if !slices.Equal(found, sent) {
		t.Errorf("the propagator has kept\n%q, want\n%q", found, sent)
	}
}

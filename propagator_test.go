// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// everyField is a propagator with the fields of W3C and B3.
var everyField = fieldsPropagator{
	"traceparent", "tracestate", "baggage", "b3",
	"x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
}

// fieldsPropagator has fields and nothing else.
type fieldsPropagator []string

func (p fieldsPropagator) Fields() []string { return p }

func (p fieldsPropagator) Inject(context.Context, propagation.TextMapCarrier) {}

func (p fieldsPropagator) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context {
	return ctx
}

// injecting is a propagator that injects what it holds.
type injecting map[string]string

func (p injecting) Fields() []string { return slices.Collect(maps.Keys(p)) }

func (p injecting) Inject(_ context.Context, c propagation.TextMapCarrier) {
	for name, value := range p {
		c.Set(name, value)
	}
}

func (p injecting) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context {
	return ctx
}

// disguised hides the type of a propagator, so that the package has to call it.
type disguised struct{ propagation.TextMapPropagator }

// lookalike is a slice of propagators as the composite of OpenTelemetry is, but does
// something else.
type lookalike []propagation.TextMapPropagator

func (lookalike) Inject(_ context.Context, carrier propagation.TextMapCarrier) {
	carrier.Set("traceparent", "lookalike")
}

func (lookalike) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context {
	return ctx
}

func (lookalike) Fields() []string { return []string{"traceparent"} }

var composite = propagation.NewCompositeTextMapPropagator

// Decode reads all fields of an envelope, and of other objects those of the propagator.
func TestDecodeReadsFieldsOfPropagator(t *testing.T) {
	const members = tracetest.ForeignTraceparent + `,"b3":"1","x":"data"`
	const envelope, other = `{"tracedpubsub":1,` + members + `,"payload":"hi"}`, `{"specversion":"1.0",` + members + `}`
	all := map[string]string{"traceparent": tracetest.ForeignParent, "b3": "1", "x": "data"}
	for _, tt := range []struct {
		name, reason string
		opts         []tracedpubsub.Option
		want         map[string]string // of other
	}{
		{"default", "the propagator of W3C", nil, map[string]string{"traceparent": tracetest.ForeignParent}},
		{"some", "only these fields are read", []tracedpubsub.Option{tracedpubsub.WithPropagators(fieldsPropagator{"b3"})}, map[string]string{"b3": "1"}},
		{"none", "a propagator may name none", []tracedpubsub.Option{tracedpubsub.WithPropagators(fieldsPropagator{})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tracedpubsub.Decode(envelope, tt.opts...)
			if got := fieldsIn(&e.Carrier); err != nil || e.Payload != "hi" || !maps.Equal(got, all) {
				t.Errorf("envelope: got %q with %q, %v, want %q", e.Payload, got, err, all)
			}
			e, err = tracedpubsub.Decode(other, tt.opts...)
			if got := fieldsIn(&e.Carrier); err != nil || e.Payload != other || !maps.Equal(got, tt.want) {
				t.Errorf("%s: got %q with %q, %v, want %q", tt.reason, e.Payload, got, err, tt.want)
			}
		})
	}
}

// An envelope has what the propagator injects, also where the package writes the
// traceparent in its place.
func TestEnvelopeHasWhatThePropagatorInjects(t *testing.T) {
	state, err := trace.ParseTraceState("vendor=1,other=2")
	if err != nil {
		t.Fatal(err)
	}
	withBaggage := tracetest.WithBaggage(t, t.Context(), "tenant=acme")
	contexts := map[string]context.Context{
		"nothing":       t.Context(),
		"baggage alone": withBaggage,
		"not valid":     trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceState: state})),
	}
	for flags := range 256 {
		for _, s := range []trace.TraceState{{}, state} {
			sc := trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{byte(flags), 15: 1}, SpanID: trace.SpanID{7: byte(flags) | 1},
				TraceFlags: trace.TraceFlags(flags), TraceState: s,
			})
			name := sc.TraceID().String() + s.String()
			contexts[name] = trace.ContextWithSpanContext(t.Context(), sc)
			contexts[name+" with baggage"] = trace.ContextWithSpanContext(withBaggage, sc)
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
		{"overwritten", "the last one wins", composite(propagation.TraceContext{}, lookalike{})},
		{"overwriting", "the last one wins", composite(lookalike{}, propagation.TraceContext{})},
		{"lookalike", "it is another type", lookalike{propagation.TraceContext{}}},
		{"pointer", "it is another type", &propagation.TraceContext{}},
		{"baggage", "there is no trace context", propagation.Baggage{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			plain, called := tracedpubsub.WithPropagators(row.propagator), tracedpubsub.WithPropagators(disguised{row.propagator})
			for name, ctx := range contexts {
				got, err1 := tracedpubsub.Encode(ctx, "hello", plain)
				want, err2 := tracedpubsub.Encode(ctx, "hello", called)
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

// A consumer gets what the propagator extracts, also where the package reads the
// traceparent in its place.
func TestConsumerGetsWhatThePropagatorExtracts(t *testing.T) {
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
		plain, called := options(p), options(disguised{p})
		valid := 0
		for _, parent := range parents {
			for _, others := range []string{"", `,"tracestate":"vendor=1"`, `,"tracestate":"="`, `,"baggage":"tenant=acme"`, `,"event":"x"`} {
				message := fmt.Sprintf(`{"tracedpubsub":1,"traceparent":%q%s,"payload":"hello"}`, parent, others)
				got, err1 := tracedpubsub.Decode(message, plain...)
				want, err2 := tracedpubsub.Decode(message, called...)
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				gotContext, wantContext := got.Extract(t.Context()), want.Extract(t.Context())
				gotSpan, wantSpan := trace.SpanContextFromContext(gotContext), trace.SpanContextFromContext(wantContext)
				if !gotSpan.Equal(wantSpan) || baggage.FromContext(gotContext).String() != baggage.FromContext(wantContext).String() {
					t.Errorf("trusted %t: extracted from %s is %+v, want %+v", trusted, message, gotSpan, wantSpan)
				}
				if wantSpan.IsValid() {
					valid++
				}
			}
		}
		if valid < 20 || valid > 125 {
			t.Errorf("%d messages have a valid span context, want 16 to 100", valid)
		}
	}
}

// keeping is a propagator that keeps the traceparents that it reads.
type keeping struct{ kept *[]string }

func (k keeping) Inject(_ context.Context, carrier propagation.TextMapCarrier) {
	*k.kept = append(*k.kept, carrier.Get("traceparent"))
}

func (keeping) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context { return ctx }

func (keeping) Fields() []string { return []string{"kept"} }

// A string that a propagator reads from the carrier does not change when the next message
// is written.
func TestPropagatorMayKeepWhatItReads(t *testing.T) {
	var kept, sent []string
	opt := tracedpubsub.WithPropagators(composite(propagation.TraceContext{}, propagation.Baggage{}, keeping{&kept}))
	for n := range byte(10) {
		message, err := tracedpubsub.Encode(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{n, 15: 1}, SpanID: trace.SpanID{n, 7: 1},
		})), "hello", opt)
		if err != nil {
			t.Fatal(err)
		}
		e, err := tracedpubsub.Decode(string(message))
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, e.Carrier.Get("traceparent"))
	}
	if !slices.Equal(kept, sent) {
		t.Errorf("the propagator has kept\n%q, want\n%q", kept, sent)
	}
}

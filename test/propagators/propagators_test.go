// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package propagators

import (
	"context"
	"maps"
	"testing"

	"go.opentelemetry.io/contrib/propagators/aws/xray"
	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/contrib/propagators/jaeger"
	"go.opentelemetry.io/contrib/propagators/ot"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var (
	w3c      = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	b3Single = b3.New(b3.WithInjectEncoding(b3.B3SingleHeader))
	b3Multi  = b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader))
	b3Both   = b3.New(b3.WithInjectEncoding(b3.B3SingleHeader | b3.B3MultipleHeader))
	every    = propagation.NewCompositeTextMapPropagator(w3c, b3Both, jaeger.Jaeger{}, ot.OT{}, xray.Propagator{})
)

// nameless is a propagator that names no fields, such as one that only extracts.
type nameless struct{ propagation.TextMapPropagator }

func (nameless) Fields() []string { return nil }

// pairs are the propagators of a publisher and of a consumer.
var pairs = []struct {
	name, reason    string
	inject, extract propagation.TextMapPropagator
	found           bool // the consumer finds the producer
}{
	{"W3C", "the default", w3c, w3c, true},
	{"B3", "one field", b3Single, b3Single, true},
	{"B3 of several headers", "several fields", b3Multi, b3Multi, true},
	{"B3, several headers to one", "it reads more than it injects", b3Multi, b3Single, true},
	{"B3, one header to several", "it reads more than it injects", b3Single, b3Multi, true},
	{"B3, both to one", "the first that is valid counts", b3Both, b3Single, true},
	{"Jaeger", "a name with hyphens", jaeger.Jaeger{}, jaeger.Jaeger{}, true},
	{"OpenTracing", "the names of its baggage are those of the members", ot.OT{}, ot.OT{}, true},
	{"X-Ray", "a name with capital letters", xray.Propagator{}, xray.Propagator{}, true},
	{"all to W3C", "those of others are passed over", every, w3c, true},
	{"all to B3", "those of others are passed over", every, b3Single, true},
	{"all to Jaeger", "those of others are passed over", every, jaeger.Jaeger{}, true},
	{"all to OpenTracing", "those of others are passed over", every, ot.OT{}, true},
	{"all to X-Ray", "those of others are passed over", every, xray.Propagator{}, true},
	{"all to all", "while a fleet moves from one to another", every, every, true},
	{"W3C to B3", "they have no field in common", w3c, b3Single, false},
	{"to one that names nothing", "it may read all the same", b3Multi, nameless{b3Single}, true},
	{"from one that names nothing", "what it injects is written", nameless{ot.OT{}}, ot.OT{}, true},
}

// contexts are contexts of publishers. The baggage has one member, since it has no order.
func contexts(t *testing.T) map[string]context.Context {
	t.Helper()
	const traceID, spanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	sampled := w3c.Extract(t.Context(), propagation.MapCarrier{"traceparent": "00-" + traceID + "-" + spanID + "-01"})
	unsampled := w3c.Extract(t.Context(), propagation.MapCarrier{"traceparent": "00-" + traceID + "-" + spanID + "-00"})
	debug := b3Single.Extract(t.Context(), propagation.MapCarrier{"b3": traceID + "-" + spanID + "-d"})
	return map[string]context.Context{
		"nothing":       t.Context(),
		"sampled":       sampled,
		"unsampled":     unsampled,
		"debug of B3":   debug,
		"with baggage":  tracetest.WithBaggage(t, sampled, "tenant=acme"),
		"baggage alone": tracetest.WithBaggage(t, t.Context(), "tenant=acme"),
	}
}

// An envelope carries what a MapCarrier would, and a propagator extracts the same from it.
func TestEnvelopeIsLikeAMapCarrier(t *testing.T) {
	for _, p := range pairs {
		for name, ctx := range contexts(t) {
			for _, payload := range []string{"hello", `{"id":7}`, "\xff"} {
				reference := propagation.MapCarrier{}
				p.inject.Inject(ctx, reference)
				message, err := tracedpubsub.Encode(ctx, payload, tracedpubsub.WithPropagators(p.inject))
				if err != nil {
					t.Fatal(err)
				}
				e, err := tracedpubsub.Decode(string(message), tracedpubsub.WithPropagators(p.extract))
				if err != nil || e.Payload != payload {
					t.Fatalf("%s, %s: decoded %q, %v, want %q", p.name, name, e.Payload, err, payload)
				}
				carried := propagation.MapCarrier{}
				for _, key := range e.Carrier.Keys() {
					carried[key] = e.Carrier.Get(key)
				}
				if !maps.Equal(carried, reference) {
					t.Errorf("%s, %s (%s): the envelope carries\n%q, want\n%q", p.name, name, p.reason, carried, reference)
				}
				assertSame(t, p.name+", "+name, e.Extract(t.Context()), p.extract.Extract(t.Context(), reference))
			}
		}
	}
}

// assertSame asserts that two contexts were extracted from the same fields.
func assertSame(t *testing.T, name string, got, want context.Context) {
	t.Helper()
	gotSpan, wantSpan := trace.SpanContextFromContext(got), trace.SpanContextFromContext(want)
	if !gotSpan.Equal(wantSpan) {
		t.Errorf("%s: extracted %+v, want %+v", name, gotSpan, wantSpan)
	}
	if got, want := baggage.FromContext(got), baggage.FromContext(want); got.String() != want.String() {
		t.Errorf("%s: extracted the baggage %q, want %q", name, got, want)
	}
	// A propagator may keep more in the context. What that is shows when it injects again.
	again, wantAgain := propagation.MapCarrier{}, propagation.MapCarrier{}
	every.Inject(got, again)
	every.Inject(want, wantAgain)
	if !maps.Equal(again, wantAgain) {
		t.Errorf("%s: injected again is\n%q, want\n%q", name, again, wantAgain)
	}
}

// A consumer span has the parent that the consumer's propagator would extract from a
// MapCarrier, and its context has the same baggage.
func TestConsumerFindsProducer(t *testing.T) {
	_, rdb := tracetest.StartServer(t)
	for _, p := range pairs {
		for _, payload := range []string{"hello", `{"id":7}`, "\xff"} {
			ctx, spans := tracetest.Context(t), tracetest.NewRecorder(t)
			options := func(p propagation.TextMapPropagator) []tracedpubsub.Option {
				return []tracedpubsub.Option{tracedpubsub.WithTracerProvider(spans), tracedpubsub.WithPropagators(p)}
			}
			sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, options(p.extract)...).Subscribe(ctx, "reports"))
			publishing := tracetest.WithBaggage(t, ctx, "tenant=acme")
			tracetest.AssertSent(t, tracedpubsub.Wrap(rdb, options(p.inject)...).Publish(publishing, "reports", payload))
			var inside context.Context
			for bodyContext, m := range sub.Messages(ctx) {
				if m.Payload != payload || m.Err != nil {
					t.Errorf("%s: received %q, %v, want %q", p.name, m.Payload, m.Err, payload)
				}
				inside = bodyContext
				break
			}
			recorded := spans.Spans(t, 2)
			producer, consumer := recorded[0], recorded[1]
			reference := propagation.MapCarrier{}
			p.inject.Inject(trace.ContextWithSpanContext(publishing, producer.SpanContext()), reference)
			want := p.extract.Extract(t.Context(), reference)
			if parent := trace.SpanContextFromContext(want); !p.found {
				tracetest.AssertRoot(t, consumer)
			} else if parent.SpanID() != producer.SpanContext().SpanID() {
				t.Errorf("%s: a MapCarrier gives the parent %v, want %v", p.name, parent.SpanID(), producer.SpanContext().SpanID())
			} else {
				tracetest.AssertChildOf(t, consumer, parent)
			}
			if got, want := baggage.FromContext(inside), baggage.FromContext(want); got.String() != want.String() {
				t.Errorf("%s: the baggage is %q, want %q", p.name, got, want)
			}
			_ = sub.Close()
		}
	}
}

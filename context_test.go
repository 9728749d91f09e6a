// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
)

func withBaggage(t *testing.T, ctx context.Context, text string) context.Context {
	t.Helper()
	b, err := baggage.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return baggage.ContextWithBaggage(ctx, b)
}

func assertBaggage(t *testing.T, ctx context.Context, text string) {
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

// spanOf is a span context with a tracestate, as a caller far away may have it.
func spanOf(t *testing.T, flags trace.TraceFlags, state string) trace.SpanContext {
	t.Helper()
	ts, err := trace.ParseTraceState(state)
	if err != nil {
		t.Fatal(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags, TraceState: ts, Remote: true,
	})
}

func TestBaggageAndTraceState(t *testing.T) {
	const tenant = "tenant=acme,user=J%C3%BCrgen%2C%20%22x%22;prop=1"
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := readySub(t, client.Subscribe(ctx, "reports"))

		from := trace.ContextWithRemoteSpanContext(ctx, spanOf(t, trace.FlagsSampled, "vendor=1,other=a:b"))
		assertSent(t, client.Publish(withBaggage(t, from, tenant), "reports", "hello"))
		for ctx := range sub.Messages(withBaggage(t, ctx, "mine=1")) {
			assertBaggage(t, ctx, tenant)
			if got := trace.SpanContextFromContext(ctx).TraceState().String(); got != "vendor=1,other=a:b" {
				t.Errorf("tracestate in the loop is %q, want that of the caller", got)
			}
			break
		}

		assertSent(t, client.Publish(ctx, "reports", "without baggage"))
		for ctx := range sub.Messages(withBaggage(t, ctx, "mine=1")) {
			assertBaggage(t, ctx, "mine=1")
			break
		}
	})
}

func TestUnsampledContextTravels(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := testContext(t)
		producers := newRecorder(t, sdktrace.WithSampler(sdktrace.NeverSample()))
		consumers := newRecorder(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
		from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers))
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))

		callerSpan := spanOf(t, trace.FlagsSampled, "")
		assertSent(t, from.Publish(trace.ContextWithRemoteSpanContext(ctx, callerSpan), "reports", "hello"))

		sent := producerOnTheWire(t, nextRaw(t, raw))
		if sent.IsSampled() || sent.TraceID() != callerSpan.TraceID() || sent.SpanID() == callerSpan.SpanID() {
			t.Errorf("on the wire is %v, want an unsampled span of its own in the trace %v", sent, callerSpan.TraceID())
		}
		for ctx := range sub.Messages(ctx) {
			inside := trace.SpanContextFromContext(ctx)
			if inside.IsSampled() || inside.TraceID() != callerSpan.TraceID() || inside.SpanID() == sent.SpanID() {
				t.Errorf("in the loop is %v, want an unsampled span of its own in the trace %v", inside, callerSpan.TraceID())
			}
			break
		}
		producers.spans(t, 0)
		consumers.spans(t, 0)
	})
}

// producerOnTheWire is the span context that any reader of W3C Trace Context
// would take from m.
func producerOnTheWire(t *testing.T, m *redis.Message) trace.SpanContext {
	t.Helper()
	e, err := tracedpubsub.Decode(m.Payload, tracedpubsub.WithPropagators(propagation.TraceContext{}))
	if err != nil {
		t.Fatalf("decode %s: %v", m.Payload, err)
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), &e.Carrier))
}

func TestNoopProvider(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := testContext(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(noop.NewTracerProvider()))
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))

		publishing, callerSpan := withCaller(t, ctx)
		assertSent(t, client.Publish(withBaggage(t, publishing, "tenant=acme"), "reports", "hello"))

		sent := producerOnTheWire(t, nextRaw(t, raw))
		if sent.SpanID() != callerSpan.SpanID() || sent.TraceID() != callerSpan.TraceID() || !sent.IsSampled() {
			t.Errorf("on the wire is %v, want the caller's %v", sent, callerSpan)
		}
		for ctx, m := range sub.Messages(ctx) {
			inside := trace.SpanContextFromContext(ctx)
			if inside.SpanID() != callerSpan.SpanID() || inside.TraceID() != callerSpan.TraceID() || !inside.IsSampled() {
				t.Errorf("in the loop is %v, want the publisher's caller's %v", inside, callerSpan)
			}
			if m.Payload != "hello" {
				t.Errorf("payload is %q, want hello", m.Payload)
			}
			assertBaggage(t, ctx, "tenant=acme")
			break
		}
	})
}

func TestNoContextAtAll(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := testContext(t), newRecorder(t)
		from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(noop.NewTracerProvider()))
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))

		assertSent(t, from.Publish(ctx, "reports", "hello"))
		const bare = `{"tracedpubsub":1,"payload":"hello"}`
		if got := nextRaw(t, raw).Payload; got != bare {
			t.Errorf("on the wire is %s, want %s", got, bare)
		}
		for _, m := range sub.Messages(ctx) {
			if m.Payload != "hello" || m.Err != nil {
				t.Errorf("got %q, %v, want hello", m.Payload, m.Err)
			}
			break
		}
		span := consumers.spans(t, 1)[0]
		assertRoot(t, span)
		assertLinks(t, span)
		assertAttributes(t, span, served(rdb, "process", "reports")...)
	})
}

// slashes is a propagator with one field that is not a W3C one.
type slashes struct{}

const slashesField = "x-trace"

func (slashes) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		carrier.Set(slashesField, sc.TraceID().String()+"/"+sc.SpanID().String())
	}
}

func (slashes) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	value := carrier.Get(slashesField)
	if len(value) != 49 {
		return ctx
	}
	var c trace.SpanContextConfig
	_, err1 := hex.Decode(c.TraceID[:], []byte(value[:32]))
	_, err2 := hex.Decode(c.SpanID[:], []byte(value[33:]))
	if err1 != nil || err2 != nil {
		return ctx
	}
	c.TraceFlags, c.Remote = trace.FlagsSampled, true
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(c))
}

func (slashes) Fields() []string { return []string{slashesField} }

func TestPropagatorWithOtherFields(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, producers, consumers, others := testContext(t), newRecorder(t), newRecorder(t), newRecorder(t)
		propagator := tracedpubsub.WithPropagators(slashes{})
		from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers), propagator)
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers), propagator).Subscribe(ctx, "reports"))
		w3c := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(others)).Subscribe(ctx, "reports"))
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))

		assertSent(t, from.Publish(withBaggage(t, ctx, "tenant=acme"), "reports", "hello"))
		producer := producers.spans(t, 1)[0]
		id := producer.SpanContext().TraceID().String() + "/" + producer.SpanContext().SpanID().String()
		if got, want := nextRaw(t, raw).Payload, `{"tracedpubsub":1,"x-trace":"`+id+`","payload":"hello"}`; got != want {
			t.Errorf("on the wire is %s, want %s", got, want)
		}
		for ctx, m := range sub.Messages(ctx) {
			if m.Payload != "hello" {
				t.Errorf("payload is %q, want hello", m.Payload)
			}
			assertBaggage(t, ctx, "")
			break
		}
		assertParent(t, consumers.spans(t, 1)[0], producer)

		// Who looks for other fields still gets the payload.
		for _, m := range w3c.Messages(ctx) {
			if m.Payload != "hello" || m.Err != nil {
				t.Errorf("another propagator got %q, %v, want hello", m.Payload, m.Err)
			}
			break
		}
		assertRoot(t, others.spans(t, 1)[0])
	})
}

type contextKey struct{}

// The context in the loop is the caller's own, with the span in it.
func TestCallersContextReachesTheBody(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, c := range waysToConsume {
			t.Run(c.name, func(t *testing.T) {
				channel := "reports." + c.name
				ctx, consumers := testContext(t), newRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers))
				s := &receiving{client: client, sub: readySub(t, client.Subscribe(ctx, channel))}
				s.raw = readyRaw(t, rdb.Subscribe(ctx, channel))
				publishing, _ := withCaller(t, ctx)
				assertSent(t, client.Publish(publishing, channel, "hello"))
				producer := consumers.spans(t, 1)[0]

				ambientCtx, ambient := withCaller(t, ctx)
				consuming, cancel := context.WithCancel(context.WithValue(ambientCtx, contextKey{}, "mine"))
				defer cancel()
				c.consume(t, consuming, s, func(ctx context.Context, _ *tracedpubsub.Message) {
					if got := ctx.Value(contextKey{}); got != "mine" {
						t.Errorf("the caller's value is %v in the loop", got)
					}
					if ctx.Err() != nil {
						t.Errorf("the context in the loop has ended too early: %v", ctx.Err())
					}
					cancel()
					if !errors.Is(ctx.Err(), context.Canceled) {
						t.Errorf("the context in the loop says %v when the caller's is canceled", ctx.Err())
					}
				})
				consumer := consumers.spans(t, 2)[1]
				assertParent(t, consumer, producer)
				assertLinks(t, consumer, ambient)
			})
		}
	})
}

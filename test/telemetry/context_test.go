// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A message carries baggage and tracestate of the publisher. Without baggage the consumer
// keeps its own.
func TestBaggageAndTraceState(t *testing.T) {
	const tenant = "tenant=acme,user=J%C3%BCrgen%2C%20%22x%22;prop=1"
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))

		from := trace.ContextWithRemoteSpanContext(ctx, tracetest.SpanContext(t, trace.FlagsSampled, "vendor=1,other=a:b"))
		tracetest.AssertSent(t, client.Publish(tracetest.WithBaggage(t, from, tenant), "reports", "hello"))
		for ctx := range sub.Messages(tracetest.WithBaggage(t, ctx, "mine=1")) {
			tracetest.AssertBaggage(t, ctx, tenant)
			if got := trace.SpanContextFromContext(ctx).TraceState().String(); got != "vendor=1,other=a:b" {
				t.Errorf("tracestate in the loop is %q, want that of the caller", got)
			}
			break
		}

		tracetest.AssertSent(t, client.Publish(ctx, "reports", "without baggage"))
		for ctx := range sub.Messages(tracetest.WithBaggage(t, ctx, "mine=1")) {
			tracetest.AssertBaggage(t, ctx, "mine=1")
			break
		}
	})
}

// A message carries the context of a span that is not sampled.
func TestUnsampledContextTravels(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		producers := tracetest.NewRecorder(t, sdktrace.WithSampler(sdktrace.NeverSample()))
		consumers := tracetest.NewRecorder(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
		from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers))
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))

		callerSpan := tracetest.SpanContext(t, trace.FlagsSampled, "")
		tracetest.AssertSent(t, from.Publish(trace.ContextWithRemoteSpanContext(ctx, callerSpan), "reports", "hello"))

		sent := tracetest.ProducerOnTheWire(t, tracetest.NextRaw(t, raw))
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
		producers.Spans(t, 0)
		consumers.Spans(t, 0)
	})
}

// With a no-op provider a message carries the context and the baggage of the caller.
func TestNoopProvider(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(noop.NewTracerProvider()))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))

		publishing, callerSpan := tracetest.WithCaller(t, ctx)
		tracetest.AssertSent(t, client.Publish(tracetest.WithBaggage(t, publishing, "tenant=acme"), "reports", "hello"))

		sent := tracetest.ProducerOnTheWire(t, tracetest.NextRaw(t, raw))
		if sent.SpanID() != callerSpan.SpanID() || sent.TraceID() != callerSpan.TraceID() || !sent.IsSampled() {
			t.Errorf("on the wire is %v, want the caller's %v", sent, callerSpan)
		}
		for ctx, m := range sub.Messages(ctx) {
			inside := trace.SpanContextFromContext(ctx)
			if inside.SpanID() != callerSpan.SpanID() || inside.TraceID() != callerSpan.TraceID() || !inside.IsSampled() {
				t.Errorf("in the loop is %v, want %v of the caller of Publish", inside, callerSpan)
			}
			if m.Payload != "hello" {
				t.Errorf("payload is %q, want hello", m.Payload)
			}
			tracetest.AssertBaggage(t, ctx, "tenant=acme")
			break
		}
	})
}

// Without a context a message has an envelope all the same, and the consumer span is a
// root.
func TestNoContextAtAll(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := tracetest.Context(t), tracetest.NewRecorder(t)
		from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(noop.NewTracerProvider()))
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))

		tracetest.AssertSent(t, from.Publish(ctx, "reports", "hello"))
		const envelope = `{"tracedpubsub":1,"payload":"hello"}`
		if got := tracetest.NextRaw(t, raw).Payload; got != envelope {
			t.Errorf("on the wire is %s, want %s", got, envelope)
		}
		for _, m := range sub.Messages(ctx) {
			if m.Payload != "hello" || m.Err != nil {
				t.Errorf("got %q, %v, want hello", m.Payload, m.Err)
			}
			break
		}
		span := consumers.Spans(t, 1)[0]
		tracetest.AssertRoot(t, span)
		tracetest.AssertLinks(t, span)
		tracetest.AssertAttributes(t, span, tracetest.MessagingOn(rdb, "process", "reports")...)
	})
}

// The propagator decides which fields an envelope has.
func TestPropagatorWithOtherFields(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, producers, consumers, others := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
		propagator := tracedpubsub.WithPropagators(tracetest.CustomPropagator{})
		from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers), propagator)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers), propagator).Subscribe(ctx, "reports"))
		w3c := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(others)).Subscribe(ctx, "reports"))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))

		tracetest.AssertSent(t, from.Publish(tracetest.WithBaggage(t, ctx, "tenant=acme"), "reports", "hello"))
		producer := producers.Spans(t, 1)[0]
		id := producer.SpanContext().TraceID().String() + "/" + producer.SpanContext().SpanID().String()
		if got, want := tracetest.NextRaw(t, raw).Payload, `{"tracedpubsub":1,"x-trace":"`+id+`","payload":"hello"}`; got != want {
			t.Errorf("on the wire is %s, want %s", got, want)
		}
		for ctx, m := range sub.Messages(ctx) {
			if m.Payload != "hello" {
				t.Errorf("payload is %q, want hello", m.Payload)
			}
			tracetest.AssertBaggage(t, ctx, "")
			break
		}
		tracetest.AssertParent(t, consumers.Spans(t, 1)[0], producer)

		// A consumer with another propagator gets the payload all the same.
		for _, m := range w3c.Messages(ctx) {
			if m.Payload != "hello" || m.Err != nil {
				t.Errorf("another propagator got %q, %v, want hello", m.Payload, m.Err)
			}
			break
		}
		tracetest.AssertRoot(t, others.Spans(t, 1)[0])
	})
}

type contextKey struct{}

// The context in the loop is that of the caller, with the consumer span in it.
func TestCallersContextReachesTheBody(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, c := range tracetest.WaysToReceive {
			t.Run(c.Name, func(t *testing.T) {
				channel := "reports." + c.Name
				ctx, consumers := tracetest.Context(t), tracetest.NewRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers))
				s := &tracetest.Source{Client: client, Sub: tracetest.ReadySub(t, client.Subscribe(ctx, channel))}
				s.Raw = tracetest.ReadyRaw(t, rdb.Subscribe(ctx, channel))
				publishing, _ := tracetest.WithCaller(t, ctx)
				tracetest.AssertSent(t, client.Publish(publishing, channel, "hello"))
				producer := consumers.Spans(t, 1)[0]

				ambientCtx, ambient := tracetest.WithCaller(t, ctx)
				consuming, cancel := context.WithCancel(context.WithValue(ambientCtx, contextKey{}, "mine"))
				defer cancel()
				c.Receive(t, consuming, s, func(ctx context.Context, _ *tracedpubsub.Message) {
					if got := ctx.Value(contextKey{}); got != "mine" {
						t.Errorf("the caller's value is %v in the loop", got)
					}
					if ctx.Err() != nil {
						t.Errorf("the context in the loop is canceled too early: %v", ctx.Err())
					}
					cancel()
					if !errors.Is(ctx.Err(), context.Canceled) {
						t.Errorf("the error of the context in the loop is %v after the caller canceled", ctx.Err())
					}
				})
				consumer := consumers.Spans(t, 2)[1]
				tracetest.AssertParent(t, consumer, producer)
				tracetest.AssertLinks(t, consumer, ambient)
			})
		}
	})
}

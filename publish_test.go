// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The types that the README names are publishers and subscribers.
var (
	_ = []tracetest.Publisher{
		(*redis.Client)(nil), (*redis.ClusterClient)(nil), (*redis.Ring)(nil), (*redis.AutoPipeliner)(nil),
		redis.UniversalClient(nil), (*redis.Conn)(nil), (*redis.Tx)(nil), redis.Pipeliner(nil), (*tracedpubsub.Client)(nil),
	}
	_ = []tracedpubsub.Subscriber{
		(*redis.Client)(nil), (*redis.ClusterClient)(nil), (*redis.Ring)(nil), (*redis.AutoPipeliner)(nil), redis.UniversalClient(nil),
	}
)

// Every function that publishes works with every publisher. The span is that of a publish,
// or of a create if the command is deferred.
func TestPublishers(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		noSharded := tracetest.OnMiniredis(t) // which TestRoundTrip asserts
		for _, p := range tracetest.Publishers {
			for _, w := range tracetest.WaysToPublish {
				if w.Sharded && noSharded {
					continue
				}
				t.Run(p.Name+"/"+w.Name, func(t *testing.T) {
					ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
					tracetest.SetGlobalTracer(t, rec)
					client, channel := tracedpubsub.Wrap(rdb), p.Name+"/"+w.Name
					raw := tracetest.ReadyRaw(t, w.Subscribe(rdb, ctx, channel))
					publishing, callerSpan := tracetest.WithCaller(t, ctx)

					var cmd *redis.IntCmd
					err := p.With(ctx, rdb, func(p tracetest.Publisher) {
						cmd = w.Publish(client, publishing, p, channel, "hello")
						if n := len(rec.Ended()); n != 1 {
							t.Errorf("%d spans have ended when Publish has returned, want 1", n)
						}
					})
					if err != nil {
						t.Fatalf("%v: %s", err, p.Reason)
					}
					if n, err := cmd.Result(); n != 1 || err != nil {
						t.Errorf("the command has %d, %v, want 1: one client received it", n, err)
					}
					span := rec.Spans(t, 1)[0]
					want := w.Operation
					if p.Deferred {
						want = "create"
					}
					tracetest.AssertName(t, span, want+" "+channel)
					tracetest.AssertKind(t, span, trace.SpanKindProducer)
					tracetest.AssertChildOf(t, span, callerSpan)
					tracetest.AssertLinks(t, span)
					tracetest.AssertSucceeded(t, span)
					attributes := tracetest.Messaging(want, channel)
					if p.Client || w.OfClient {
						attributes = tracetest.MessagingOn(rdb, want, channel)
					}
					if p.Client {
						attributes = append(attributes, tracetest.Receivers(1))
					}
					tracetest.AssertAttributes(t, span, attributes...)
					if sent := tracetest.ProducerOnTheWire(t, tracetest.NextRaw(t, raw)); sent.SpanID() != span.SpanContext().SpanID() {
						t.Errorf("on the wire is the span %v, want %v", sent.SpanID(), span.SpanContext().SpanID())
					}
				})
			}
		}
	})
}

// A Client can be used instead of a client of go-redis, and makes one envelope all the same.
func TestWrappedClientWrapsOnce(t *testing.T) {
	server := redistest.Start(t)
	rdb := server.Client()
	for _, w := range tracetest.WaysToPublish {
		t.Run(w.Name, func(t *testing.T) {
			ctx, outer, inner := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
			client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(outer))
			wrapped := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(inner))
			raw := tracetest.ReadyRaw(t, w.Subscribe(rdb, ctx, w.Name))

			tracetest.AssertSent(t, w.Publish(client, ctx, wrapped, w.Name, "hello"))
			if e, err := tracedpubsub.Decode(tracetest.NextRaw(t, raw).Payload); e.Payload != "hello" || err != nil {
				t.Errorf("in the envelope is %q, %v, want the payload", e.Payload, err)
			}
			// PublishTo uses the options of its own Client, and Publish those of the Client that
			// it gets.
			with, without := inner, outer
			if w.OfClient {
				with, without = outer, inner
			}
			tracetest.AssertAttributes(t, with.Spans(t, 1)[0], tracetest.MessagingOn(rdb, w.Operation, w.Name, tracetest.Receivers(1))...)
			without.Spans(t, 0)
		})
	}
}

// Unwrap returns the client that was wrapped.
func TestUnwrap(t *testing.T) {
	rdb := redistest.Start(t).Client()
	if got := tracedpubsub.Wrap(rdb).Unwrap(); got != redis.UniversalClient(rdb) {
		t.Errorf("Unwrap returned %v, want the client that was wrapped", got)
	}
}

// The reply is the number of clients that received the message, and the span has it.
func TestReceivers(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		for n := range 4 {
			if got := client.Publish(ctx, "reports", "hello").Val(); got != int64(n) {
				t.Errorf("the reply is %d, want %d", got, n)
			}
			tracetest.AssertAttributes(t, rec.Spans(t, n+1)[n], tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(n))...)
			tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		}
	})
}

// An adapter for another client, which is that of the example, sends what go-redis sends, and
// nothing if the payload cannot be sent.
func TestAdapterForAnotherClient(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		adapter := redigoPublisher{exampleConn{rdb}}
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		plain := tracedpubsub.Wrap(rdb, tracedpubsub.WithEnvelopeFilter(func(string) bool { return false }))
		for i, payload := range []any{"hello", []byte("\xff"), 42, tracedpubsub.JSON(map[string]int{"id": 7})} {
			if n, err := client.PublishTo(ctx, adapter, "reports", payload).Result(); n != 1 || err != nil {
				t.Errorf("%v: %d, %v", payload, n, err)
			}
			tracetest.AssertSent(t, rdb.Publish(ctx, "reports", payload))
			enveloped, want := tracetest.NextRaw(t, raw), tracetest.NextRaw(t, raw).Payload
			tracetest.AssertCarries(t, enveloped, want, rec.Spans(t, i+1)[i])
		}
		tracetest.AssertSent(t, plain.PublishTo(ctx, adapter, "reports", "hello"))
		if got := tracetest.NextRaw(t, raw).Payload; got != "hello" {
			t.Errorf("without an envelope, published was %q", got)
		}

		for _, payload := range []any{&tracetest.FailingPayload{Err: tracetest.ErrTest}, tracetest.Unsupported{}} {
			for name, c := range map[string]*tracedpubsub.Client{"envelope": client, "no envelope": plain} {
				if err := c.PublishTo(ctx, adapter, "reports", payload).Err(); err == nil {
					t.Errorf("%s: no error for a %T", name, payload)
				}
				if failing, ok := payload.(*tracetest.FailingPayload); ok {
					failing.Calls = 0 // only its first call fails
				}
			}
		}
		tracetest.PublishRaw(t, rdb, "reports", "end")
		if got := tracetest.NextRaw(t, raw).Payload; got != "end" {
			t.Errorf("published was %q", got)
		}
	})
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// Messages that did not come from Redis, as a user's own tests have them.
func TestMessageOfOnesOwn(t *testing.T) {
	rows := []struct {
		name, reason string
		message      *tracedpubsub.Message
		span         string
		attributes   []attribute.KeyValue
	}{{
		name:    "zero",
		reason:  "the zero Message is usable",
		message: &tracedpubsub.Message{},
		span:    "process",
		attributes: []attribute.KeyValue{
			attribute.String("messaging.system", "redis"),
			attribute.String("messaging.operation.name", "process"),
			attribute.String("messaging.operation.type", "process"),
		},
	}, {
		name:       "exported fields",
		reason:     "what a handler reads",
		message:    &tracedpubsub.Message{Channel: "reports", Payload: "hello"},
		span:       "process reports",
		attributes: messaging("process", "reports"),
	}, {
		name:       "envelope in a field",
		reason:     "a Message has been taken apart: its payload is a payload",
		message:    &tracedpubsub.Message{Channel: "reports", Payload: foreignEnvelope},
		span:       "process reports",
		attributes: messaging("process", "reports"),
	}, {
		name:       "with an error",
		reason:     "a handler of malformed messages is to be tested as well",
		message:    &tracedpubsub.Message{Channel: "reports", Err: tracedpubsub.ErrMalformedEnvelope},
		span:       "process reports",
		attributes: messaging("process", "reports", attribute.String("tracedpubsub.envelope", "malformed")),
	}, {
		name:    "FromRedis of nil",
		reason:  "a closed channel of go-redis gives nil: that is no panic",
		message: tracedpubsub.FromRedis(nil),
		span:    "process",
		attributes: []attribute.KeyValue{
			attribute.String("messaging.system", "redis"),
			attribute.String("messaging.operation.name", "process"),
			attribute.String("messaging.operation.type", "process"),
		},
	}}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder(t)
			setGlobalTracer(t, rec)
			payload := row.message.Payload
			ctx, ambient := withCaller(t, withBaggage(t, testContext(t), "mine=1"))
			inside, span := row.message.Start(ctx)
			span.End()
			assertBaggage(t, inside, "mine=1")
			s := rec.spans(t, 1)[0]
			assertName(t, s, row.span)
			assertKind(t, s, trace.SpanKindConsumer)
			assertRoot(t, s)
			assertLinks(t, s, ambient)
			assertAttributes(t, s, row.attributes...)
			if got := trace.SpanContextFromContext(row.message.Extract(ctx)); !got.Equal(ambient) {
				t.Errorf("Extract gives %v, want the caller's span: %s", got.SpanID(), row.reason)
			}
			if row.message.Payload != payload {
				t.Errorf("the payload has become %q", row.message.Payload)
			}
		})
	}
}

// An array as payload comes from client-side caching.
func TestPayloadSlice(t *testing.T) {
	rec := newRecorder(t)
	keys := []string{"a", foreignEnvelope}
	m := tracedpubsub.FromRedis(&redis.Message{Channel: "__redis__:invalidate", PayloadSlice: keys}, tracedpubsub.WithTracerProvider(rec))
	if m.Payload != "" || m.Err != nil || !slices.Equal(m.PayloadSlice, keys) {
		t.Errorf("got %q, %q, %v, want the slice alone, as it is", m.Payload, m.PayloadSlice, m.Err)
	}
	_, span := m.Start(testContext(t))
	span.End()
	assertRoot(t, rec.spans(t, 1)[0])
}

func TestMessageString(t *testing.T) {
	for name, m := range map[string]*redis.Message{
		"usual":   {Channel: "reports", Payload: "hello"},
		"pattern": {Channel: "reports.7", Pattern: "reports.*", Payload: "hello"},
		"zero":    {},
	} {
		if got, want := tracedpubsub.FromRedis(m).String(), m.String(); got != want {
			t.Errorf("%s: String() = %q, want %q as go-redis has it", name, got, want)
		}
	}
	if got, want := (&tracedpubsub.Message{Channel: "reports", Payload: "hello"}).String(), "Message<reports: hello>"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestFromRedisLeavesTheMessage(t *testing.T) {
	raw := &redis.Message{Channel: "reports", Pattern: "rep*", Payload: foreignEnvelope}
	before := *raw
	m := tracedpubsub.FromRedis(raw)
	if m.Channel != "reports" || m.Pattern != "rep*" || m.Payload != "hello" || m.Err != nil {
		t.Errorf("got %+v, want what is in the message", m)
	}
	if raw.Channel != before.Channel || raw.Pattern != before.Pattern || raw.Payload != before.Payload {
		t.Errorf("go-redis' own message has become %+v", raw)
	}
}

func TestExtract(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		assertSent(t, client.Publish(withBaggage(t, ctx, "tenant=acme"), "reports", "hello"))
		assertSent(t, rdb.Publish(ctx, "reports", "hello"))
		producer := rec.spans(t, 1)[0]
		with, without := nextMessage(t, sub), nextMessage(t, sub)
		ambientCtx, ambient := withCaller(t, context.WithValue(withBaggage(t, ctx, "mine=1"), contextKey{}, "mine"))

		assertExtract(t, with, producer, "tenant=acme")
		extracted := with.Extract(ambientCtx)
		if got := trace.SpanContextFromContext(extracted); got.SpanID() != producer.SpanContext().SpanID() || !got.IsRemote() {
			t.Errorf("Extract gives %v, want the producer in the place of the caller's span", got.SpanID())
		}
		assertBaggage(t, extracted, "tenant=acme")
		if extracted.Value(contextKey{}) != "mine" {
			t.Error("Extract has lost a value of the caller's context")
		}

		extracted = without.Extract(ambientCtx)
		if got := trace.SpanContextFromContext(extracted); !got.Equal(ambient) {
			t.Errorf("without a producer Extract gives %v, want the caller's span %v", got.SpanID(), ambient.SpanID())
		}
		if !trace.SpanFromContext(extracted).IsRecording() {
			t.Error("without a producer the caller's span cannot be written to any more")
		}
		assertBaggage(t, extracted, "mine=1")
		if sc := trace.SpanContextFromContext(without.Extract(ctx)); sc.IsValid() {
			t.Errorf("without a producer and a span Extract gives %v", sc)
		}
		rec.spans(t, 1) // it starts nothing
	})
}

func TestStartTakesOptions(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		assertSent(t, client.Publish(ctx, "reports", "hello"))
		producer := rec.spans(t, 1)[0]
		ambientCtx, ambient := withCaller(t, ctx)
		other, began := spanOf(t, trace.FlagsSampled, ""), time.Now().Add(-time.Minute)
		_, span := nextMessage(t, sub).Start(ambientCtx,
			trace.WithLinks(trace.Link{SpanContext: other}), trace.WithAttributes(attribute.Int("part", 7)), trace.WithTimestamp(began))
		span.End()
		consumer := rec.spans(t, 2)[1]
		assertName(t, consumer, "process reports")
		assertParent(t, consumer, producer)
		assertLinks(t, consumer, ambient, other)
		assertAttributes(t, consumer, served(rdb, "process", "reports", attribute.Int("part", 7))...)
		if !consumer.StartTime().Equal(began) {
			t.Errorf("the span began at %v, want %v", consumer.StartTime(), began)
		}
	})
}

// Two parts of an application may each want a span for a message.
func TestStartTwice(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		assertSent(t, client.Publish(withBaggage(t, ctx, "tenant=acme"), "reports", "hello"))
		producer := rec.spans(t, 1)[0]
		m := nextMessage(t, sub)
		ctx1, first := m.Start(ctx)
		ctx2, second := m.Start(ctx)
		assertBaggage(t, ctx1, "tenant=acme")
		assertBaggage(t, ctx2, "tenant=acme")
		_, inner := m.Start(ctx1)
		for _, span := range []trace.Span{first, second, inner} {
			span.End()
		}
		spans := rec.spans(t, 4)[1:]
		for i, links := range [][]trace.SpanContext{nil, nil, {first.SpanContext()}} {
			assertParent(t, spans[i], producer)
			assertLinks(t, spans[i], links...)
			assertAttributes(t, spans[i], served(rdb, "process", "reports")...)
		}
	})
}

// A span begins when the message is handed over, not while it waits.
func TestSpanDoesNotBeginWhileAMessageWaits(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec)).Subscribe(ctx, "reports"))
		for _, payload := range []string{"first", "second"} {
			assertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", payload))
		}
		channel := sub.Channel()
		m := <-channel
		taken := time.Now()
		_, span := m.Start(ctx)
		span.End()
		for range sub.Messages(ctx) {
			break
		}
		for _, s := range rec.spans(t, 2) {
			if s.StartTime().Before(taken) {
				t.Errorf("a span began %v before the message was handed over", taken.Sub(s.StartTime()))
			}
		}
	})
}

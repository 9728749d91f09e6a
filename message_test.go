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
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Messages that were not received from Redis, as tests of users make them.
var ownMessages = []struct {
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
	reason:     "a handler reads them",
	message:    &tracedpubsub.Message{Channel: "reports", Payload: "hello"},
	span:       "process reports",
	attributes: tracetest.Messaging("process", "reports"),
}, {
	name:       "envelope in a field",
	reason:     "a Message has been decoded: its payload is a payload",
	message:    &tracedpubsub.Message{Channel: "reports", Payload: tracetest.ForeignEnvelope},
	span:       "process reports",
	attributes: tracetest.Messaging("process", "reports"),
}, {
	name:       "with an error",
	reason:     "for tests of handlers of malformed messages",
	message:    &tracedpubsub.Message{Channel: "reports", Err: tracedpubsub.ErrMalformedEnvelope},
	span:       "process reports",
	attributes: tracetest.Messaging("process", "reports", attribute.String("tracedpubsub.envelope", "malformed")),
}, {
	name:    "FromRedis of nil",
	reason:  "a closed channel of go-redis gives nil, which must not panic",
	message: tracedpubsub.FromRedis(nil),
	span:    "process",
	attributes: []attribute.KeyValue{
		attribute.String("messaging.system", "redis"),
		attribute.String("messaging.operation.name", "process"),
		attribute.String("messaging.operation.type", "process"),
	},
}}

// The consumer span of such a message is a root, with the attributes that are known.
func TestMessageOfOnesOwn(t *testing.T) {
	for _, row := range ownMessages {
		t.Run(row.name, func(t *testing.T) {
			rec := tracetest.NewRecorder(t)
			tracetest.SetGlobalTracer(t, rec)
			payload := row.message.Payload
			ctx, ambient := tracetest.WithCaller(t, tracetest.WithBaggage(t, tracetest.Context(t), "mine=1"))
			inside, span := row.message.Start(ctx)
			span.End()
			tracetest.AssertBaggage(t, inside, "mine=1")
			s := rec.Spans(t, 1)[0]
			tracetest.AssertName(t, s, row.span)
			tracetest.AssertKind(t, s, trace.SpanKindConsumer)
			tracetest.AssertRoot(t, s)
			tracetest.AssertLinks(t, s, ambient)
			tracetest.AssertAttributes(t, s, row.attributes...)
			if got := trace.SpanContextFromContext(row.message.Extract(ctx)); !got.Equal(ambient) {
				t.Errorf("Extract gives %v, want the caller's span: %s", got.SpanID(), row.reason)
			}
			if row.message.Payload != payload {
				t.Errorf("the payload was changed to %q", row.message.Payload)
			}
		})
	}
}

// The payload of an invalidation of client-side caching is an array.
func TestPayloadSlice(t *testing.T) {
	rec := tracetest.NewRecorder(t)
	keys := []string{"a", tracetest.ForeignEnvelope}
	m := tracedpubsub.FromRedis(&redis.Message{Channel: "__redis__:invalidate", PayloadSlice: keys}, tracedpubsub.WithTracerProvider(rec))
	if m.Payload != "" || m.Err != nil || !slices.Equal(m.PayloadSlice, keys) {
		t.Errorf("got %q, %q, %v, want the slice alone, as it is", m.Payload, m.PayloadSlice, m.Err)
	}
	_, span := m.Start(tracetest.Context(t))
	span.End()
	tracetest.AssertRoot(t, rec.Spans(t, 1)[0])
}

// String returns what String of a redis.Message returns.
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

// FromRedis does not change the message of go-redis.
func TestFromRedisLeavesTheMessage(t *testing.T) {
	raw := &redis.Message{Channel: "reports", Pattern: "rep*", Payload: tracetest.ForeignEnvelope}
	before := *raw
	m := tracedpubsub.FromRedis(raw)
	if m.Channel != "reports" || m.Pattern != "rep*" || m.Payload != "hello" || m.Err != nil {
		t.Errorf("got %+v, want what is in the message", m)
	}
	if raw.Channel != before.Channel || raw.Pattern != before.Pattern || raw.Payload != before.Payload {
		t.Errorf("the message of go-redis was changed to %+v", raw)
	}
}

type valueKey struct{}

// Extract returns the context of the producer, or the context of the caller if there is no
// producer. It starts no span.
func TestExtract(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, client.Publish(tracetest.WithBaggage(t, ctx, "tenant=acme"), "reports", "hello"))
		tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		producer := rec.Spans(t, 1)[0]
		with, without := tracetest.NextMessage(t, sub), tracetest.NextMessage(t, sub)
		ambientCtx, ambient := tracetest.WithCaller(t, context.WithValue(tracetest.WithBaggage(t, ctx, "mine=1"), valueKey{}, "mine"))

		tracetest.AssertExtract(t, with, producer, "tenant=acme")
		extracted := with.Extract(ambientCtx)
		if got := trace.SpanContextFromContext(extracted); got.SpanID() != producer.SpanContext().SpanID() || !got.IsRemote() {
			t.Errorf("Extract gives %v, want the producer in the place of the caller's span", got.SpanID())
		}
		tracetest.AssertBaggage(t, extracted, "tenant=acme")
		if extracted.Value(valueKey{}) != "mine" {
			t.Error("Extract has lost a value of the caller's context")
		}

		extracted = without.Extract(ambientCtx)
		if got := trace.SpanContextFromContext(extracted); !got.Equal(ambient) {
			t.Errorf("without a producer Extract gives %v, want the caller's span %v", got.SpanID(), ambient.SpanID())
		}
		if !trace.SpanFromContext(extracted).IsRecording() {
			t.Error("without a producer the caller's span cannot be written to any more")
		}
		tracetest.AssertBaggage(t, extracted, "mine=1")
		if sc := trace.SpanContextFromContext(without.Extract(ctx)); sc.IsValid() {
			t.Errorf("without a producer and a span Extract gives %v", sc)
		}
		rec.Spans(t, 1) // Extract starts no span
	})
}

// The options of Start are those of the consumer span.
func TestStartTakesOptions(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
		producer := rec.Spans(t, 1)[0]
		ambientCtx, ambient := tracetest.WithCaller(t, ctx)
		other, began := tracetest.SpanContext(t, trace.FlagsSampled, ""), time.Now().Add(-time.Minute)
		_, span := tracetest.NextMessage(t, sub).Start(ambientCtx,
			trace.WithLinks(trace.Link{SpanContext: other}), trace.WithAttributes(attribute.Int("part", 7)), trace.WithTimestamp(began))
		span.End()
		consumer := rec.Spans(t, 2)[1]
		tracetest.AssertName(t, consumer, "process reports")
		tracetest.AssertParent(t, consumer, producer)
		tracetest.AssertLinks(t, consumer, ambient, other)
		tracetest.AssertAttributes(t, consumer, tracetest.MessagingOn(rdb, "process", "reports", attribute.Int("part", 7))...)
		if !consumer.StartTime().Equal(began) {
			t.Errorf("the span began at %v, want %v", consumer.StartTime(), began)
		}
	})
}

// Two parts of an application may each start a span for a message.
func TestStartTwice(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, client.Publish(tracetest.WithBaggage(t, ctx, "tenant=acme"), "reports", "hello"))
		producer := rec.Spans(t, 1)[0]
		m := tracetest.NextMessage(t, sub)
		ctx1, first := m.Start(ctx)
		ctx2, second := m.Start(ctx)
		tracetest.AssertBaggage(t, ctx1, "tenant=acme")
		tracetest.AssertBaggage(t, ctx2, "tenant=acme")
		_, inner := m.Start(ctx1)
		for _, span := range []trace.Span{first, second, inner} {
			span.End()
		}
		spans := rec.Spans(t, 4)[1:]
		for i, links := range [][]trace.SpanContext{nil, nil, {first.SpanContext()}} {
			tracetest.AssertParent(t, spans[i], producer)
			tracetest.AssertLinks(t, spans[i], links...)
			tracetest.AssertAttributes(t, spans[i], tracetest.MessagingOn(rdb, "process", "reports")...)
		}
	})
}

// The consumer span begins when the message is delivered, not while it waits.
func TestSpanDoesNotBeginWhileAMessageWaits(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec)).Subscribe(ctx, "reports"))
		for _, payload := range []string{"first", "second"} {
			tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", payload))
		}
		channel := sub.Channel()
		m := <-channel
		taken := time.Now()
		_, span := m.Start(ctx)
		span.End()
		for range sub.Messages(ctx) {
			break
		}
		for _, s := range rec.Spans(t, 2) {
			if s.StartTime().Before(taken) {
				t.Errorf("a span began %v before the message was delivered", taken.Sub(s.StartTime()))
			}
		}
	})
}

// NewMessage gives what FromRedis gives, less the server of the client.
func TestNewMessage(t *testing.T) {
	for _, tt := range []struct {
		name, reason     string
		pattern, payload string
		opts             []tracedpubsub.Option
		want             string // the payload
		producer         bool
		baggage          string
	}{
		{"envelope", "it is decoded", "", tracetest.ForeignEnvelope, nil, "hello", true, ""},
		{"pattern", "it is the template of the span", "rep*", tracetest.ForeignEnvelope, nil, "hello", true, ""},
		{"no envelope", "it is the payload", "", "hello", nil, "hello", false, ""},
		{"baggage", "is that of the producer", "", `{"tracedpubsub":1,` + tracetest.ForeignTraceparent + `,"baggage":"a=1","payload":""}`, nil, "", true, "a=1"},
		{"filtered", "the options for consumers count", "", tracetest.ForeignEnvelope,
			[]tracedpubsub.Option{tracedpubsub.WithFilter(func(string) bool { return false })}, tracetest.ForeignEnvelope, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := tracetest.NewRecorder(t)
			m := tracedpubsub.NewMessage("reports", tt.pattern, tt.payload, append(tt.opts, tracedpubsub.WithTracerProvider(rec))...)
			if m.Channel != "reports" || m.Pattern != tt.pattern || m.Payload != tt.want || m.PayloadSlice != nil || m.Err != nil {
				t.Errorf("got %+v, want the payload %q: %s", m, tt.want, tt.reason)
			}
			ctx, span := m.Start(tracetest.Context(t))
			span.End()
			if tt.name == "filtered" {
				rec.Spans(t, 0)
				return
			}
			s := rec.Spans(t, 1)[0]
			if got := trace.SpanContextFromContext(m.Extract(t.Context())); (got.SpanID().String() == "b7ad6b7169203331") != tt.producer || s.Parent().SpanID() != got.SpanID() {
				t.Errorf("the producer is %v, and the parent %v: %s", got.SpanID(), s.Parent().SpanID(), tt.reason)
			}
			tracetest.AssertBaggage(t, ctx, tt.baggage)
			if tt.pattern == "" {
				tracetest.AssertAttributes(t, s, tracetest.Messaging("process", "reports")...)
			} else {
				tracetest.AssertAttributes(t, s, tracetest.Messaging("process", "reports", tracetest.Template(tt.pattern))...)
			}
		})
	}
}

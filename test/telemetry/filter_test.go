// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A channel that is left out has no spans and no envelopes, for publishers and consumers.
func TestFilter(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec),
			tracedpubsub.WithFilter(func(channel string) bool { return channel != "plain" }))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "plain"))
		sub := tracetest.ReadySub(t, client.PSubscribe(ctx, "*"))
		publishing, ambient := tracetest.WithCaller(t, tracetest.WithBaggage(t, ctx, "tenant=acme"))

		tracetest.AssertSent(t, client.Publish(publishing, "plain", "hello"))
		tracetest.AssertSent(t, rdb.Publish(ctx, "plain", tracetest.ForeignEnvelope))
		pipe := rdb.Pipeline()
		client.PublishTo(publishing, pipe, "plain", 7)
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"hello", tracetest.ForeignEnvelope, "7"} {
			if got := tracetest.NextRaw(t, raw).Payload; got != want {
				t.Errorf("on the wire is %q, want %q", got, want)
			}
			for inside, m := range sub.Messages(trace.ContextWithSpanContext(ctx, ambient)) {
				if m.Payload != want || m.Err != nil || m.Channel != "plain" || m.Pattern != "*" {
					t.Errorf("got %+v, want %q as it is", m, want)
				}
				if got := trace.SpanContextFromContext(inside); !got.Equal(ambient) {
					t.Errorf("in the loop is the span %v, want %v of the caller", got.SpanID(), ambient.SpanID())
				}
				if got := trace.SpanContextFromContext(m.Extract(t.Context())); got.IsValid() {
					t.Errorf("Extract gives %v, want nothing", got)
				}
				break
			}
		}
		tracetest.AssertSameError(t, client.Publish(ctx, "plain", tracetest.Unsupported{ID: 7}).Err(), rdb.Publish(ctx, "plain", tracetest.Unsupported{ID: 7}).Err())
		rec.Spans(t, 0)

		tracetest.AssertSent(t, client.Publish(ctx, "traced", "hello"))
		for _, m := range sub.Messages(ctx) {
			if m.Payload != "hello" {
				t.Errorf("got %q, want hello", m.Payload)
			}
			break
		}
		spans := rec.Spans(t, 2)
		tracetest.AssertParent(t, spans[1], spans[0])
	})
}

// Without an envelope a publish still has a span, and consumers still read envelopes.
func TestEnvelopeFilter(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec),
			tracedpubsub.WithEnvelopeFilter(func(channel string) bool { return channel != "unwrapped" }))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "unwrapped"))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "unwrapped"))
		publishing, callerSpan := tracetest.WithCaller(t, ctx)
		for i, row := range tracetest.PayloadTypes {
			tracetest.AssertSent(t, rdb.Publish(ctx, "unwrapped", row.Payload))
			want := tracetest.NextRaw(t, raw).Payload
			tracetest.AssertSent(t, client.Publish(publishing, "unwrapped", row.Payload))
			if got := tracetest.NextRaw(t, raw).Payload; got != want {
				t.Errorf("%s: on the wire is %.200q, want %.200q", row.Name, got, want)
			}
			for range 2 {
				if m := tracetest.NextMessage(t, sub); m.Payload != want {
					t.Errorf("%s: received %.200q, want %.200q", row.Name, m.Payload, want)
				}
			}
			span := rec.Spans(t, i+1)[i]
			tracetest.AssertChildOf(t, span, callerSpan)
			tracetest.AssertAttributes(t, span, tracetest.MessagingOn(rdb, "publish", "unwrapped", tracetest.Receivers(2))...)
		}
		tracetest.AssertSent(t, rdb.Publish(ctx, "unwrapped", tracetest.ForeignEnvelope))
		if m := tracetest.NextMessage(t, sub); m.Payload != "hello" {
			t.Errorf("received %q, want the payload of the envelope", m.Payload)
		}

		n := len(tracetest.PayloadTypes)
		tracetest.AssertSameError(t, client.Publish(ctx, "unwrapped", tracetest.Unsupported{ID: 7}).Err(), rdb.Publish(ctx, "unwrapped", tracetest.Unsupported{ID: 7}).Err())
		tracetest.AssertFailed(t, rec.Spans(t, n+1)[n], tracetest.PlainErrorType)
		got := tracetest.EndingOf(func() { client.Publish(ctx, "unwrapped", &tracetest.FailingPayload{Panic: tracetest.ErrTest}) })
		if want := (tracetest.Ending{Panicked: tracetest.ErrTest}); got != want {
			t.Errorf("Publish has ended with %+v, want %+v", got, want)
		}
		tracetest.AssertFailed(t, rec.Spans(t, n+2)[n+1], "panic")
	})
}

// countedOptions returns options with functions whose calls are counted.
func countedOptions(calls *tracetest.CallCounter) []tracedpubsub.Option {
	filter := func(option string) func(string) bool {
		return func(string) bool { calls.Count(option); return true }
	}
	return []tracedpubsub.Option{
		tracedpubsub.WithFilter(filter("filter")),
		tracedpubsub.WithEnvelopeFilter(filter("envelope filter")),
		tracedpubsub.WithDestinationTemplate(func(string) string { calls.Count("template"); return "user.{id}" }),
	}
}

// The functions of options are called at most once a message, as they may be slow.
func TestFunctionsAreCalledOnce(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		var calls tracetest.CallCounter
		client := tracedpubsub.Wrap(rdb, append(countedOptions(&calls), tracedpubsub.WithTracerProvider(tracetest.NewRecorder(t)))...)
		publishing := map[string]int{"filter": 1, "envelope filter": 1, "template": 1}
		reading := map[string]int{"filter": 1, "template": 1}

		tracetest.AssertSent(t, client.Publish(ctx, "user.7", "hello"))
		calls.Assert(t, "at a publish", publishing)
		if err := client.Publish(ctx, "user.7", tracetest.Unsupported{ID: 7}).Err(); err == nil {
			t.Error("a struct was published")
		}
		calls.Assert(t, "at a publish that fails", publishing)
		pipe := rdb.Pipeline()
		client.PublishTo(ctx, pipe, "user.7", "hello")
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		calls.Assert(t, "at a deferred publish", publishing)

		for _, c := range tracetest.WaysToReceive {
			channel := "user." + c.Name
			s := &tracetest.Source{Client: client, Sub: tracetest.ReadySub(t, client.Subscribe(ctx, channel)), Raw: tracetest.ReadyRaw(t, rdb.Subscribe(ctx, channel))}
			sent, err := tracedpubsub.Encode(ctx, "hello")
			if err != nil {
				t.Fatal(err)
			}
			if c.FromRaw {
				_ = s.Sub.Close() // it would call them as well
			}
			calls.Take()
			tracetest.AssertSent(t, rdb.Publish(ctx, channel, sent))
			c.Receive(t, ctx, s, func(ctx context.Context, m *tracedpubsub.Message) {
				m.Extract(ctx)
				_, span := m.Start(ctx)
				span.End()
			})
			calls.Assert(t, "in "+c.Name, reading)
		}
	})
}

// A panic of a function is reported to the error handler once, and the message is sent or
// delivered.
func TestPanickingFunctions(t *testing.T) {
	rows := []struct {
		name, reason string
		option       tracedpubsub.Option
		says         string
		publishes    int // how many reports a publish makes
		reads        int
	}{
		{"WithFilter", "the channel is traced", tracedpubsub.WithFilter(func(string) bool { panic(tracetest.ErrTest) }), "WithFilter", 1, 1},
		{"WithEnvelopeFilter", "the payload has an envelope", tracedpubsub.WithEnvelopeFilter(func(string) bool { panic(tracetest.ErrTest) }), "WithEnvelopeFilter", 1, 0},
		{"WithDestinationTemplate", "the channel has no template", tracedpubsub.WithDestinationTemplate(func(string) string { panic(tracetest.ErrTest) }), "WithDestinationTemplate", 1, 1},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				var publishing, reading tracetest.ErrorLog
				client := tracedpubsub.Wrap(rdb, row.option, tracedpubsub.WithTracerProvider(rec), publishing.Option())
				reader := tracedpubsub.Wrap(rdb, row.option, tracedpubsub.WithTracerProvider(rec), reading.Option())
				sub := tracetest.ReadySub(t, reader.Subscribe(ctx, row.name))
				tracetest.AssertSent(t, client.Publish(ctx, row.name, "hello"))
				for _, m := range sub.Messages(ctx) {
					if m.Payload != "hello" {
						t.Errorf("got %q, want hello: %s", m.Payload, row.reason)
					}
					_, span := m.Start(ctx)
					span.End()
					break
				}
				published, read := publishing.All(), reading.All()
				if len(published) != row.publishes || len(read) != row.reads {
					t.Errorf("the error handlers got %v and %v, want %d and %d reports", published, read, row.publishes, row.reads)
				}
				for _, err := range slices.Concat(published, read) {
					if text := err.Error(); !errors.Is(err, tracetest.ErrTest) || !strings.HasPrefix(text, "tracedpubsub: ") || !strings.Contains(text, row.says) {
						t.Errorf("the error handler got %q, want %q of %s", err, tracetest.ErrTest, row.says)
					}
				}
				spans := rec.Spans(t, 3)
				tracetest.AssertAttributes(t, spans[0], tracetest.MessagingOn(rdb, "publish", row.name, tracetest.Receivers(1))...)
				tracetest.AssertSucceeded(t, spans[0])
				for _, s := range spans[1:] {
					tracetest.AssertParent(t, s, spans[0])
					tracetest.AssertAttributes(t, s, tracetest.MessagingOn(rdb, "process", row.name)...)
				}
			})
		}
	})
}

// If the propagator panics, the message is sent, or delivered, without a context.
func TestPropagatorThatPanics(t *testing.T) {
	ctx, rdb, rec := tracetest.Context(t), redistest.Start(t).Client(), tracetest.NewRecorder(t)
	var published, read tracetest.ErrorLog
	raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
	tracetest.AssertSent(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithPropagators(tracetest.PanickingPropagator{}),
		published.Option()).Publish(ctx, "reports", "hello"))
	published.AssertOne(t, tracetest.ErrTest)
	const envelope = `{"tracedpubsub":1,"payload":"hello"}`
	if got := tracetest.NextRaw(t, raw).Payload; got != envelope {
		t.Errorf("on the wire is %s, want %s", got, envelope)
	}

	m := tracedpubsub.FromRedis(&redis.Message{Channel: "reports", Payload: `{"tracedpubsub":1,"traceparent":"x","payload":"hello"}`},
		tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithPropagators(tracetest.PanickingPropagator{}), read.Option())
	_, span := m.Start(ctx)
	span.End()
	if m.Payload != "hello" {
		t.Errorf("the payload is %q, want %q", m.Payload, "hello")
	}
	read.AssertOne(t, tracetest.ErrTest)
	tracetest.AssertRoot(t, rec.Spans(t, 2)[1])
}

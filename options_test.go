// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// WithDestinationTemplate gives spans a name of low cardinality.
func TestDestinationTemplate(t *testing.T) {
	rows := []struct {
		name, reason string
		template     string
		pattern      bool
		want         string // of the consumer; "": the channel, and no template
		published    string // of the producer, likewise
	}{
		{"given", "span names have it instead of the channel", "user.{id}", false, "user.{id}", "user.{id}"},
		{"empty", "an empty result means none", "", false, "", ""},
		{"given, with a pattern", "it takes precedence over the pattern", "user.{id}", true, "user.{id}", "user.{id}"},
		{"empty, with a pattern", "the pattern is the template", "", true, "pattern", ""},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				channel, pattern := row.name+".7", row.name+".?"
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithDestinationTemplate(func(got string) string {
					if got != channel {
						t.Errorf("the function was called with %q, want %q", got, channel)
					}
					return row.template
				}))
				var sub *tracedpubsub.PubSub
				if row.pattern {
					sub = tracetest.ReadySub(t, client.PSubscribe(ctx, pattern))
				} else {
					sub = tracetest.ReadySub(t, client.Subscribe(ctx, channel))
				}
				tracetest.AssertSent(t, client.Publish(ctx, channel, "hello"))
				for range sub.Messages(ctx) {
					break
				}
				pipe := rdb.Pipeline()
				client.PublishTo(ctx, pipe, channel, "hello")
				pipe.Discard()

				if row.want == "pattern" {
					row.want = pattern
				}
				spans := rec.Spans(t, 3)
				for i, s := range []struct {
					operation, template string
					extra               []attribute.KeyValue
				}{
					{"publish", row.published, []attribute.KeyValue{tracetest.Receivers(1)}},
					{"process", row.want, nil},
					{"create", row.published, nil},
				} {
					if s.template == "" {
						tracetest.AssertName(t, spans[i], s.operation+" "+channel)
					} else {
						tracetest.AssertName(t, spans[i], s.operation+" "+s.template)
						s.extra = append(s.extra, tracetest.Template(s.template))
					}
					tracetest.AssertAttributes(t, spans[i], tracetest.MessagingOn(rdb, s.operation, channel, s.extra...)...)
				}
			})
		}
	})
}

// WithAttributes adds attributes to every span. Those of the library take precedence.
func TestAttributes(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		room := make([]attribute.KeyValue, 1, 20)
		room[0] = attribute.String("team", "reports")
		first := tracedpubsub.WithAttributes(room...)
		room[0] = attribute.String("team", "another")
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec),
			first,
			tracedpubsub.WithAttributes(),
			tracedpubsub.WithAttributes(attribute.Int("shard", 7), attribute.String("messaging.system", "mine"),
				attribute.Int("server.port", 1), attribute.String("messaging.destination.name", "mine"),
				attribute.String("messaging.operation.name", "mine"), attribute.String("messaging.operation.type", "mine"),
				attribute.String("server.address", "mine"), attribute.Int("tracedpubsub.receivers", 77)))
		room[0] = attribute.String("team", "yet another")
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		mine := []attribute.KeyValue{attribute.String("team", "reports"), attribute.Int("shard", 7)}
		for i := range 3 {
			tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
			for range sub.Messages(ctx) {
				break
			}
			spans := rec.Spans(t, 2*(i+1))
			tracetest.AssertAttributes(t, spans[2*i], tracetest.MessagingOn(rdb, "publish", "reports", append(mine, tracetest.Receivers(1))...)...)
			// A consumer span keeps an attribute of the user that the library does not set on it.
			tracetest.AssertAttributes(t, spans[2*i+1], tracetest.MessagingOn(rdb, "process", "reports", append(mine, tracetest.Receivers(77))...)...)
		}
		for i, kv := range room[:cap(room)][1:] {
			if kv.Valid() {
				t.Errorf("%v was written behind the slice of the caller, at %d", kv, i+1)
			}
		}
	})
}

// Clients with the same first options do not share the later ones.
func TestOptionsAreNotShared(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		common := tracedpubsub.WithAttributes(attribute.String("team", "reports"))
		var clients []*tracedpubsub.Client
		for i := range 3 {
			clients = append(clients, tracedpubsub.Wrap(rdb, common, tracedpubsub.WithAttributes(attribute.Int("client", i)), tracedpubsub.WithTracerProvider(rec)))
		}
		for i, c := range clients {
			tracetest.AssertSent(t, c.Publish(ctx, "reports", "hello"))
			tracetest.AssertAttributes(t, rec.Spans(t, i+1)[i], tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(0), attribute.String("team", "reports"), attribute.Int("client", i))...)
		}
	})
}

// Options that are nil, or have a nil argument, are ignored.
func TestNilOptions(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		var errs tracetest.ErrorLog
		client := tracedpubsub.Wrap(rdb,
			tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithTracerProvider(nil),
			tracedpubsub.WithPropagators(tracetest.CustomPropagator{}), tracedpubsub.WithPropagators(nil),
			tracedpubsub.WithDestinationTemplate(func(string) string { return "user.{id}" }), tracedpubsub.WithDestinationTemplate(nil),
			tracedpubsub.WithFilter(func(channel string) bool { return channel != "plain" }), tracedpubsub.WithFilter(nil),
			tracedpubsub.WithEnvelopeFilter(func(channel string) bool { return channel != "unwrapped" }), tracedpubsub.WithEnvelopeFilter(nil),
			errs.Option(), tracedpubsub.WithErrorHandler(nil),
			tracedpubsub.WithAttributes(), tracedpubsub.WithChannelSize(-1), nil)
		raw := tracetest.ReadyRaw(t, rdb.PSubscribe(ctx, "*"))
		for channel, want := range map[string]string{"plain": "hello", "unwrapped": "hello", "user.7": `{"tracedpubsub":1,"x-trace":"`} {
			tracetest.AssertSent(t, client.Publish(ctx, channel, "hello"))
			if got := tracetest.NextRaw(t, raw).Payload; !strings.HasPrefix(got, want) {
				t.Errorf("on %s is %s, want %s…", channel, got, want)
			}
		}
		for _, s := range rec.Spans(t, 2) {
			tracetest.AssertName(t, s, "publish user.{id}")
		}
		errs.AssertNone(t)

		m := tracedpubsub.FromRedis(nextOf(t, ctx, rdb, raw), nil, nil)
		if m.Payload != "hello" {
			t.Errorf("FromRedis with nil options gives %q, want hello", m.Payload)
		}
	})
}

// nextOf publishes a message without options and returns it as it was received.
func nextOf(t *testing.T, ctx context.Context, rdb *redis.Client, raw *redis.PubSub) *redis.Message {
	t.Helper()
	tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", "hello"))
	return tracetest.NextRaw(t, raw)
}

// A Client is safe for concurrent use: goroutines do not share the memory that it reuses
// for attributes.
func TestClientIsSafeForConcurrentUse(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		const workers, each = 8, 25
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		mine := attribute.String("team", "reports")
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithAttributes(mine),
			tracedpubsub.WithDestinationTemplate(func(channel string) string {
				n, _ := strconv.Atoi(channel)
				return strings.Repeat("t", n%3) // sometimes none
			}))
		failed := make(chan error, workers*each)
		var wg sync.WaitGroup
		for i := range workers {
			wg.Go(func() {
				for j := range each {
					channel := strconv.Itoa(i*each + j)
					m := client.FromRedis(&redis.Message{Channel: channel, Payload: tracetest.ForeignEnvelope})
					ctx, span := m.Start(ctx)
					failed <- client.Publish(ctx, channel, "hello").Err()
					span.End()
				}
			})
		}
		wg.Wait()
		close(failed)
		if err := errors.Join(collect(failed)...); err != nil {
			t.Error(err)
		}
		for _, s := range rec.Spans(t, 2*workers*each) {
			channel, _ := tracetest.AttributeOf(s, "messaging.destination.name")
			operation, _ := tracetest.AttributeOf(s, "messaging.operation.name")
			extra := []attribute.KeyValue{mine}
			n, _ := strconv.Atoi(channel.AsString())
			if n%3 > 0 {
				extra = append(extra, tracetest.Template(strings.Repeat("t", n%3)))
			}
			if operation.AsString() == "publish" {
				extra = append(extra, tracetest.Receivers(0))
			}
			tracetest.AssertAttributes(t, s, tracetest.MessagingOn(rdb, operation.AsString(), channel.AsString(), extra...)...)
		}
	})
}

func collect(errs <-chan error) (all []error) {
	for err := range errs {
		all = append(all, err)
	}
	return all
}

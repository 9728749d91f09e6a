// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

func batchOf(n int) attribute.KeyValue { return attribute.Int("messaging.batch.message_count", n) }

// servedBatch is what the span of a batch says that has no destination in common.
func servedBatch(rdb *redis.Client, n int, extra ...attribute.KeyValue) []attribute.KeyValue {
	var attributes []attribute.KeyValue
	for _, a := range served(rdb, "send", "", append(extra, batchOf(n))...) {
		if a.Key != "messaging.destination.name" {
			attributes = append(attributes, a)
		}
	}
	return attributes
}

// pipelines are the two ways in which a client sends several commands.
var pipelines = []struct {
	name, reason string
	run          func(rdb redis.UniversalClient, ctx context.Context, fill func(redis.Pipeliner) error) ([]redis.Cmder, error)
}{
	{"Pipelined", "commands as they come", redis.UniversalClient.Pipelined},
	{"TxPipelined", "with MULTI and EXEC around them", redis.UniversalClient.TxPipelined},
}

// A span for each message, and one for all of them.
func TestHookedPipeline(t *testing.T) {
	rows := []struct {
		name, reason string
		channels     []string
		send         string
	}{
		{"one destination", "it is that of the batch", []string{"user.7", "user.7", "user.7"}, "send user.7"},
		{"one template", "it is that of the batch", []string{"report.1", "report.2"}, "send report.{id}"},
		{"different destinations", "the batch has none", []string{"user.7", "report.1", "user.8"}, "send"},
	}
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		listener := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
		t.Cleanup(func() { _ = listener.Close() })
		raw := readyRaw(t, listener.PSubscribe(testContext(t), "*"))
		for _, p := range pipelines {
			for _, row := range rows {
				t.Run(p.name+"/"+row.name, func(t *testing.T) {
					ctx, rec := testContext(t), newRecorder(t)
					own := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
					t.Cleanup(func() { _ = own.Close() })
					instrument(t, own, rec, reportTemplate)
					publishing, caller := withCaller(t, ctx)

					cmds, err := p.run(own, publishing, func(pipe redis.Pipeliner) error {
						pipe.Set(ctx, "key", "value", 0)
						for i, channel := range row.channels {
							pipe.Publish(ctx, channel, i)
						}
						pipe.Get(ctx, "key")
						return nil
					})
					if err != nil || len(cmds) != len(row.channels)+2 {
						t.Fatalf("%d commands, %v: %s, %s", len(cmds), err, p.reason, row.reason)
					}
					n := len(row.channels)
					spans := rec.spans(t, n+1)
					var created []trace.SpanContext
					for i, channel := range row.channels {
						if got := cmds[i+1].String(); got != fmt.Sprintf("publish %s %d: 1", channel, i) {
							t.Errorf("the command is %q", got)
						}
						assertChildOf(t, spans[i], caller)
						assertKind(t, spans[i], trace.SpanKindProducer)
						assertCarries(t, nextRaw(t, raw), strconv.Itoa(i), spans[i])
						created = append(created, spans[i].SpanContext())
					}
					send := spans[n]
					assertName(t, send, row.send)
					assertKind(t, send, trace.SpanKindClient)
					assertChildOf(t, send, caller)
					assertLinks(t, send, created...)
					assertSucceeded(t, send)
					if count, _ := attributeOf(send, "messaging.batch.message_count"); count.AsInt64() != int64(n) {
						t.Errorf("the span counts %v messages, want %d", count.AsInt64(), n)
					}
				})
			}
		}
	})
}

var reportTemplate = tracedpubsub.WithDestinationTemplate(func(channel string) string {
	if channel[:4] == "repo" {
		return "report.{id}"
	}
	return ""
})

// The destination of a batch is said where there is one, and templates likewise.
func TestAttributesOfBatches(t *testing.T) {
	ctx, rec := testContext(t), newRecorder(t)
	rdb := redistest.Start(t).Client()
	instrument(t, rdb, rec, reportTemplate, tracedpubsub.WithAttributes(attribute.String("team", "paper")))
	team := attribute.String("team", "paper")
	publish := func(channels ...string) {
		t.Helper()
		_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, channel := range channels {
				pipe.Publish(ctx, channel, "hello")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	publish("user.7", "user.7")
	assertAttributes(t, rec.spans(t, 3)[2], served(rdb, "send", "user.7", batchOf(2), team)...)
	publish("report.1", "report.2")
	assertAttributes(t, rec.spans(t, 6)[5], servedBatch(rdb, 2, templated("report.{id}"), team)...)
	publish("report.1", "report.1")
	assertAttributes(t, rec.spans(t, 9)[8], served(rdb, "send", "report.1", templated("report.{id}"), batchOf(2), team)...)
	publish("user.7", "report.1")
	assertAttributes(t, rec.spans(t, 12)[11], servedBatch(rdb, 2, team)...)
	assertAttributes(t, rec.spans(t, 12)[10], served(rdb, "create", "report.1", templated("report.{id}"), team)...)
	publish("report.1", "user.7")
	assertAttributes(t, rec.spans(t, 15)[14], servedBatch(rdb, 2, team)...)
}

// One span whose context all messages carry.
func TestBatchSpanOnly(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, p := range pipelines {
			t.Run(p.name, func(t *testing.T) {
				ctx, rec := testContext(t), newRecorder(t)
				own := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
				t.Cleanup(func() { _ = own.Close() })
				instrument(t, own, rec, tracedpubsub.WithBatchSpanOnly())
				raw := readyRaw(t, rdb.PSubscribe(ctx, p.name+"*"))
				publishing, caller := withCaller(t, ctx)
				_, err := p.run(own, withBaggage(t, publishing, "tenant=acme"), func(pipe redis.Pipeliner) error {
					pipe.Publish(ctx, p.name, "hello")
					pipe.Publish(ctx, p.name, 7)
					pipe.Do(ctx, "PUBLISH", p.name+" more", []byte{0xff})
					return nil
				})
				if err != nil {
					t.Fatalf("%v: %s", err, p.reason)
				}
				send := rec.spans(t, 1)[0]
				assertName(t, send, "send")
				assertKind(t, send, trace.SpanKindProducer)
				assertChildOf(t, send, caller)
				assertLinks(t, send)
				assertAttributes(t, send, servedBatch(own, 3)...)
				for _, want := range []string{"hello", "7", "\xff"} {
					m := nextRaw(t, raw)
					assertCarries(t, m, want, send)
					if e, _ := tracedpubsub.Decode(m.Payload); e.Carrier.Get("baggage") != "tenant=acme" {
						t.Errorf("the message carries the baggage %q", e.Carrier.Get("baggage"))
					}
				}

				assertSent(t, own.Publish(ctx, p.name, "alone"))
				assertName(t, rec.spans(t, 2)[1], "publish "+p.name) // a single message is as ever
			})
		}
	})
}

// A pipeline without a message that is to be traced is none of ours.
func TestHookLeavesOtherPipelinesAlone(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		raw := readyRaw(t, rdb.Subscribe(ctx, "plain"))
		instrument(t, rdb, rec, tracedpubsub.WithFilter(func(channel string) bool { return channel != "plain" }))
		for _, p := range pipelines {
			cmds, err := p.run(rdb, ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, p.name)
				pipe.Publish(ctx, "plain", "hello")
				pipe.Publish(ctx, "plain", foreignEnvelope)
				return nil
			})
			if err != nil || cmds[0].String() != fmt.Sprintf("incr %s: 1", p.name) {
				t.Errorf("%v, %v: %s", cmds, err, p.reason)
			}
			for _, want := range []string{"hello", foreignEnvelope} {
				if got := nextRaw(t, raw).Payload; got != want {
					t.Errorf("on the wire is %q, want %q", got, want)
				}
			}
		}
		rec.spans(t, 0)
	})
}

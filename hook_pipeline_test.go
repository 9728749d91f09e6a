// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// servedBatch is what the span of a batch says that has no destination in common.
func servedBatch(rdb *redis.Client, n int, extra ...attribute.KeyValue) []attribute.KeyValue {
	var attributes []attribute.KeyValue
	for _, a := range tracetest.MessagingOn(rdb, "send", "", append(extra, tracetest.BatchSize(n))...) {
		if a.Key != "messaging.destination.name" {
			attributes = append(attributes, a)
		}
	}
	return attributes
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
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		listener := tracetest.OtherClient(t, rdb)
		raw := tracetest.ReadyRaw(t, listener.PSubscribe(tracetest.Context(t), "*"))
		for _, p := range tracetest.Pipelines {
			for _, row := range rows {
				t.Run(p.Name+"/"+row.name, func(t *testing.T) {
					ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
					own := tracetest.OtherClient(t, rdb)
					tracetest.Instrument(t, own, rec, reportTemplate)
					publishing, caller := tracetest.WithCaller(t, ctx)

					cmds, err := p.Run(own, publishing, func(pipe redis.Pipeliner) error {
						pipe.Set(ctx, "key", "value", 0)
						for i, channel := range row.channels {
							pipe.Publish(ctx, channel, i)
						}
						pipe.Get(ctx, "key")
						return nil
					})
					if err != nil || len(cmds) != len(row.channels)+2 {
						t.Fatalf("%d commands, %v: %s, %s", len(cmds), err, p.Reason, row.reason)
					}
					n := len(row.channels)
					spans := rec.Spans(t, n+1)
					var created []trace.SpanContext
					for i, channel := range row.channels {
						if got := cmds[i+1].String(); got != fmt.Sprintf("publish %s %d: 1", channel, i) {
							t.Errorf("the command is %q", got)
						}
						tracetest.AssertChildOf(t, spans[i], caller)
						tracetest.AssertKind(t, spans[i], trace.SpanKindProducer)
						tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), strconv.Itoa(i), spans[i])
						created = append(created, spans[i].SpanContext())
					}
					send := spans[n]
					tracetest.AssertName(t, send, row.send)
					tracetest.AssertKind(t, send, trace.SpanKindClient)
					tracetest.AssertChildOf(t, send, caller)
					tracetest.AssertLinks(t, send, created...)
					tracetest.AssertSucceeded(t, send)
					if count, _ := tracetest.AttributeOf(send, "messaging.batch.message_count"); count.AsInt64() != int64(n) {
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
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := redistest.Start(t).Client()
	tracetest.Instrument(t, rdb, rec, reportTemplate, tracedpubsub.WithAttributes(attribute.String("team", "paper")))
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
	tracetest.AssertAttributes(t, rec.Spans(t, 3)[2], tracetest.MessagingOn(rdb, "send", "user.7", tracetest.BatchSize(2), team)...)
	publish("report.1", "report.2")
	tracetest.AssertAttributes(t, rec.Spans(t, 6)[5], servedBatch(rdb, 2, tracetest.Template("report.{id}"), team)...)
	publish("report.1", "report.1")
	tracetest.AssertAttributes(t, rec.Spans(t, 9)[8], tracetest.MessagingOn(rdb, "send", "report.1", tracetest.Template("report.{id}"), tracetest.BatchSize(2), team)...)
	publish("user.7", "report.1")
	tracetest.AssertAttributes(t, rec.Spans(t, 12)[11], servedBatch(rdb, 2, team)...)
	tracetest.AssertAttributes(t, rec.Spans(t, 12)[10], tracetest.MessagingOn(rdb, "create", "report.1", tracetest.Template("report.{id}"), team)...)
	publish("report.1", "user.7")
	tracetest.AssertAttributes(t, rec.Spans(t, 15)[14], servedBatch(rdb, 2, team)...)
}

// One span whose context all messages carry.
func TestBatchSpanOnly(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, p := range tracetest.Pipelines {
			t.Run(p.Name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				own := tracetest.OtherClient(t, rdb)
				tracetest.Instrument(t, own, rec, tracedpubsub.WithBatchSpanOnly())
				raw := tracetest.ReadyRaw(t, rdb.PSubscribe(ctx, p.Name+"*"))
				publishing, caller := tracetest.WithCaller(t, ctx)
				_, err := p.Run(own, tracetest.WithBaggage(t, publishing, "tenant=acme"), func(pipe redis.Pipeliner) error {
					pipe.Publish(ctx, p.Name, "hello")
					pipe.Publish(ctx, p.Name, 7)
					pipe.Do(ctx, "PUBLISH", p.Name+" more", []byte{0xff})
					return nil
				})
				if err != nil {
					t.Fatalf("%v: %s", err, p.Reason)
				}
				send := rec.Spans(t, 1)[0]
				tracetest.AssertName(t, send, "send")
				tracetest.AssertKind(t, send, trace.SpanKindProducer)
				tracetest.AssertChildOf(t, send, caller)
				tracetest.AssertLinks(t, send)
				tracetest.AssertAttributes(t, send, servedBatch(own, 3)...)
				for _, want := range []string{"hello", "7", "\xff"} {
					m := tracetest.NextRaw(t, raw)
					tracetest.AssertCarries(t, m, want, send)
					if e, _ := tracedpubsub.Decode(m.Payload); e.Carrier.Get("baggage") != "tenant=acme" {
						t.Errorf("the message carries the baggage %q", e.Carrier.Get("baggage"))
					}
				}

				tracetest.AssertSent(t, own.Publish(ctx, p.Name, "alone"))
				tracetest.AssertName(t, rec.Spans(t, 2)[1], "publish "+p.Name) // a single message is as ever
			})
		}
	})
}

// A pipeline without a message that is to be traced is none of ours.
func TestHookLeavesOtherPipelinesAlone(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "plain"))
		tracetest.Instrument(t, rdb, rec, tracedpubsub.WithFilter(func(channel string) bool { return channel != "plain" }))
		for _, p := range tracetest.Pipelines {
			cmds, err := p.Run(rdb, ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, p.Name)
				pipe.Publish(ctx, "plain", "hello")
				pipe.Publish(ctx, "plain", tracetest.ForeignEnvelope)
				return nil
			})
			if err != nil || cmds[0].String() != fmt.Sprintf("incr %s: 1", p.Name) {
				t.Errorf("%v, %v: %s", cmds, err, p.Reason)
			}
			for _, want := range []string{"hello", tracetest.ForeignEnvelope} {
				if got := tracetest.NextRaw(t, raw).Payload; got != want {
					t.Errorf("on the wire is %q, want %q", got, want)
				}
			}
		}
		rec.Spans(t, 0)
	})
}

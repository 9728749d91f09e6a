// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Instrument needs a client of go-redis and a function that chooses the channels.
func TestInstrumentRefuses(t *testing.T) {
	rdb := redistest.Start(t).Client()
	for _, row := range []struct {
		name, reason string
		client       redis.UniversalClient
		channels     func(string) bool
	}{
		{"no channels", "the function is missing", rdb, nil},
		{"a type of the user's own", "how it sends commands is unknown", struct{ redis.UniversalClient }{rdb}, tracetest.AllChannels},
		{"nothing", "there is no client", nil, tracetest.AllChannels},
		{"a client that is nil", "the client is missing", (*redis.Client)(nil), tracetest.AllChannels},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := tracedpubsub.Instrument(row.client, row.channels)
			if err == nil || !strings.HasPrefix(err.Error(), "tracedpubsub: ") {
				t.Errorf("Instrument returned %v, want an error of this package: %s", err, row.reason)
			}
		})
	}
}

// NewHook returns a hook for AddHook. It does not know the address of the server.
func TestNewHook(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		rdb.AddHook(tracedpubsub.NewHook(nil, tracedpubsub.WithTracerProvider(rec)))
		tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		rec.Spans(t, 0) // there are no channels

		rdb.AddHook(tracedpubsub.NewHook(tracetest.AllChannels, tracedpubsub.WithTracerProvider(rec)))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		span := rec.Spans(t, 1)[0]
		tracetest.AssertAttributes(t, span, tracetest.Messaging("publish", "reports")...)
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", span)
	})
}

// A message that the application publishes with go-redis has a span and an envelope. The
// consumer span is a child of that span.
func TestHookRoundTrip(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		tracetest.Instrument(t, rdb, rec)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		listener := tracetest.OtherClient(t, rdb)
		raw := tracetest.ReadyRaw(t, listener.Subscribe(ctx, "plain"))
		for i, row := range tracetest.PayloadTypes {
			t.Run(row.Name, func(t *testing.T) {
				tracetest.AssertSent(t, listener.Publish(ctx, "plain", row.Payload))
				want := tracetest.NextRaw(t, raw).Payload
				tracetest.AssertSent(t, rdb.Publish(ctx, "reports", row.Payload))
				for _, m := range sub.Messages(ctx) {
					if m.Payload != want || m.Err != nil {
						t.Errorf("received %.200q, %v, want %.200q: %s", m.Payload, m.Err, want, row.Reason)
					}
					break
				}
				spans := rec.Spans(t, 2*i+2)[2*i:]
				tracetest.AssertAttributes(t, spans[0], tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(1))...)
				tracetest.AssertParent(t, spans[1], spans[0])
			})
		}
	})
}

// reportTemplate is the template of channels that begin with report.
var reportTemplate = tracedpubsub.WithDestinationTemplate(func(channel string) string {
	if channel[:4] == "repo" {
		return "report.{id}"
	}
	return ""
})

// A pipeline and a transaction have a span for each message, and a span for the batch that
// links to them.
func TestHookedPipeline(t *testing.T) {
	rows := []struct {
		name, reason string
		channels     []string
		send         string
	}{
		{"one destination", "the batch has it as well", []string{"user.7", "user.7", "user.7"}, "send user.7"},
		{"one template", "the batch has it as well", []string{"report.1", "report.2"}, "send report.{id}"},
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

// The span of a batch has the destination and the template that its messages share.
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

// servedBatch returns the attributes of a batch whose messages have different channels.
func servedBatch(rdb *redis.Client, n int, extra ...attribute.KeyValue) []attribute.KeyValue {
	var attributes []attribute.KeyValue
	for _, a := range tracetest.MessagingOn(rdb, "send", "", append(extra, tracetest.BatchSize(n))...) {
		if a.Key != "messaging.destination.name" {
			attributes = append(attributes, a)
		}
	}
	return attributes
}

// With WithBatchSpanOnly a batch has one span, whose context all messages carry.
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
				tracetest.AssertName(t, rec.Spans(t, 2)[1], "publish "+p.Name) // as without the option
			})
		}
	})
}

// An envelope that a relay publishes is sent as it is, with the producer that it has. A
// payload that only resembles one gets an envelope. The vectors of the wire format have
// both.
func TestHookAndRelays(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := redistest.Start(t).Client()
	tracetest.Instrument(t, rdb, rec, tracedpubsub.WithPropagators(everyField))
	raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "relay"))
	wrapped := 0
	for _, v := range readVectors(t).Decode {
		t.Run(v.Name, func(t *testing.T) {
			message := string(v.Message)
			tracetest.AssertSent(t, rdb.Publish(ctx, "relay", message))
			wire := tracetest.NextRaw(t, raw).Payload
			switch v.Rule {
			case "R0", "R1", "R3":
				if wire != message {
					t.Errorf("on the wire is %.200q, want the envelope as it was: %s (%s)", wire, v.Rule, v.Reason)
				}
			default:
				wrapped++
				if e := decodeAll(t, wire); e.Payload != message || wire == message {
					t.Errorf("on the wire is %.200q, want an envelope around it: %s (%s)", wire, v.Rule, v.Reason)
				}
			}
			rec.Spans(t, wrapped)
		})
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The channels decide, then the filters, each for itself.
func TestChannelsAndFilters(t *testing.T) {
	rows := []struct {
		name, reason                string
		channels, filter, envelopes bool
		span, enveloped             bool
	}{
		{"all", "the usual case", true, true, true, true, true},
		{"not among the channels", "its consumers cannot read envelopes", false, true, true, false, false},
		{"filtered", "it is left alone", true, false, true, false, false},
		{"bare", "a span, and the payload as it is", true, true, false, true, false},
		{"neither", "what is left alone is not asked about envelopes", false, false, false, false, false},
	}
	server := redistest.Start(t)
	for _, row := range rows {
		for _, p := range tracetest.Publishers {
			t.Run(row.name+"/"+p.Name, func(t *testing.T) {
				ctx, rec, channel := tracetest.Context(t), tracetest.NewRecorder(t), row.name+"/"+p.Name
				rdb := server.Client()
				var a tracetest.CallCounter
				answer := func(question string, yes bool) func(string) bool {
					return func(asked string) bool {
						a.Count(question)
						if asked != channel {
							t.Errorf("%s was asked about %q, want %q", question, asked, channel)
						}
						return yes
					}
				}
				var errs tracetest.ErrorLog
				err := tracedpubsub.Instrument(rdb, answer("channels", row.channels),
					tracedpubsub.WithTracerProvider(rec), errs.Option(),
					tracedpubsub.WithFilter(answer("filter", row.filter)),
					tracedpubsub.WithEnvelopeFilter(answer("envelopes", row.envelopes)),
					tracedpubsub.WithDestinationTemplate(func(string) string { a.Count("template"); return "{any}" }))
				if err != nil {
					t.Fatal(err)
				}
				raw := tracetest.ReadyRaw(t, server.Client().Subscribe(ctx, channel))
				var cmd *redis.IntCmd
				if err := p.With(ctx, rdb, func(p tracetest.Publisher) { cmd = p.Publish(ctx, channel, "hello") }); err != nil {
					t.Fatal(err)
				}
				tracetest.AssertSent(t, cmd)

				wire := tracetest.NextRaw(t, raw).Payload
				if enveloped := wire != "hello"; enveloped != row.enveloped {
					t.Errorf("on the wire is %q: %s", wire, row.reason)
				}
				spans := rec.Ended()
				if (len(spans) > 0) != row.span {
					t.Errorf("the spans are %v: %s", tracetest.Names(spans), row.reason)
				}
				for _, s := range spans {
					if got, _ := tracetest.AttributeOf(s, "messaging.destination.template"); got.AsString() != "{any}" {
						t.Errorf("%q has the template %q", s.Name(), got.AsString())
					}
				}
				want := map[string]int{"channels": 1}
				if row.channels {
					want["filter"] = 1
				}
				if row.span {
					want["envelopes"], want["template"] = 1, 1
				}
				a.Assert(t, "for one message", want)
				errs.AssertNone(t)
			})
		}
	}
}

// What a function panics with reaches the error handler, once, and the message goes
// its way; a channel is traced only if channels has said so.
func TestHookAndPanickingFunctions(t *testing.T) {
	panics := func(string) bool { panic(tracetest.ErrTest) }
	rows := []struct {
		name, reason string
		channels     func(string) bool
		option       tracedpubsub.Option
		span, bare   bool
	}{
		{"channels", "its consumers may not be able to read envelopes", panics, nil, false, true},
		{"WithFilter", "as for a Client", tracetest.AllChannels, tracedpubsub.WithFilter(panics), true, false},
		{"WithEnvelopeFilter", "as for a Client", tracetest.AllChannels, tracedpubsub.WithEnvelopeFilter(panics), true, false},
		{"WithDestinationTemplate", "as for a Client", tracetest.AllChannels, tracedpubsub.WithDestinationTemplate(func(string) string { panic(tracetest.ErrTest) }), true, false},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			for _, piped := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/in a pipeline %t", row.name, piped), func(t *testing.T) {
					ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
					own := tracetest.OtherClient(t, rdb)
					var errs tracetest.ErrorLog
					if err := tracedpubsub.Instrument(own, row.channels, row.option, tracedpubsub.WithTracerProvider(rec), errs.Option()); err != nil {
						t.Fatal(err)
					}
					raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, row.name))
					if piped {
						pipe := own.Pipeline()
						pipe.Publish(ctx, row.name, "hello")
						if _, err := pipe.Exec(ctx); err != nil {
							t.Fatal(err)
						}
					} else {
						tracetest.AssertSent(t, own.Publish(ctx, row.name, "hello"))
					}
					if bare := tracetest.NextRaw(t, raw).Payload == "hello"; bare != row.bare {
						t.Errorf("the payload went out bare: %t, want %t: %s", bare, row.bare, row.reason)
					}
					if traced := len(rec.Ended()) > 0; traced != row.span {
						t.Errorf("there are the spans %v: %s", tracetest.Names(rec.Ended()), row.reason)
					}
					errs.AssertOne(t, tracetest.ErrTest)
					if text := errs.All()[0].Error(); !strings.HasPrefix(text, "tracedpubsub: ") {
						t.Errorf("the error handler got %q", text)
					}
				})
			}
		}
	})
}

// All that shapes a consumer span does so for a message that a hook has traced.
func TestHookAndConsumers(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range []struct {
			name, reason string
			options      []tracedpubsub.Option
			child        bool
			baggage      bool
		}{
			{"child", "the default", nil, true, true},
			{"link", "large fan-outs", []tracedpubsub.Option{tracedpubsub.WithRelation(tracedpubsub.RelationLink)}, false, true},
			{"public endpoint", "publishers that are not trusted", []tracedpubsub.Option{tracedpubsub.WithPublicEndpoint()}, false, false},
		} {
			t.Run(row.name, func(t *testing.T) {
				ctx, producing, consuming := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
				own := tracetest.OtherClient(t, rdb)
				tracetest.Instrument(t, own, producing)
				client := tracedpubsub.Wrap(own, append(row.options, tracedpubsub.WithTracerProvider(consuming))...)
				sub := tracetest.ReadySub(t, client.Subscribe(ctx, row.name))
				tracetest.AssertSent(t, own.Publish(tracetest.WithBaggage(t, ctx, "tenant=acme"), row.name, "hello"))
				for inside := range sub.Messages(ctx) {
					if got := baggage.FromContext(inside).Member("tenant").Value(); got != map[bool]string{true: "acme"}[row.baggage] {
						t.Errorf("the tenant is %q: %s", got, row.reason)
					}
					break
				}
				producer, consumer := producing.Spans(t, 1)[0], consuming.Spans(t, 1)[0]
				if row.child {
					tracetest.AssertParent(t, consumer, producer)
				} else {
					tracetest.AssertRoot(t, consumer)
					tracetest.AssertLinks(t, consumer, producer.SpanContext())
				}
			})
		}
	})
}

// Several Clients and a hook over one pool: each goes by its own options.
func TestHookAndClientsOverOnePool(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		hooking, plain, bare, full := tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
		no := func(string) bool { return false }
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		tracetest.Instrument(t, rdb, hooking)
		rows := []struct {
			name, reason  string
			client        *tracedpubsub.Client
			rec           *tracetest.Recorder
			spans, hooked int
		}{
			{"filtered", "the Client leaves it alone, and the hook sees a bare payload", tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(plain), tracedpubsub.WithFilter(no)), plain, 0, 1},
			{"bare", "the Client has its span, and wants the payload bare", tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(bare), tracedpubsub.WithEnvelopeFilter(no)), bare, 1, 0},
			{"enveloped", "the hook sees an envelope", tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(full)), full, 1, 0},
		}
		hooked := 0
		for _, row := range rows {
			tracetest.AssertSent(t, row.client.Publish(ctx, "reports", "hello"))
			spans := row.rec.Spans(t, row.spans)
			hooked += row.hooked
			seen := hooking.Spans(t, hooked)
			if m := tracetest.NextRaw(t, raw); row.name != "bare" {
				tracetest.AssertCarries(t, m, "hello", append(spans, seen[len(seen)-row.hooked:]...)[0])
			} else if m.Payload != "hello" {
				t.Errorf("on the wire is %q, want hello: %s", m.Payload, row.reason)
			}
		}
	})
}

// Without spans the context of the caller travels, in whatever way it is sent.
func TestHookWithoutSpans(t *testing.T) {
	ctx := tracetest.Context(t)
	rdb := redistest.Start(t).Client()
	raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
	if err := tracedpubsub.Instrument(rdb, tracetest.AllChannels, tracedpubsub.WithTracerProvider(noop.NewTracerProvider())); err != nil {
		t.Fatal(err)
	}
	publishing, caller := tracetest.WithCaller(t, ctx)
	tracetest.AssertSent(t, rdb.Publish(publishing, "reports", "hello"))
	pipe := rdb.Pipeline()
	pipe.Publish(ctx, "reports", "hello")
	if _, err := pipe.Exec(publishing); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if sent := tracetest.ProducerOnTheWire(t, tracetest.NextRaw(t, raw)); sent.SpanID() != caller.SpanID() {
			t.Errorf("on the wire is the span %v, want the caller's %v", sent.SpanID(), caller.SpanID())
		}
	}
}

// A sampler sees what the span of a batch says, but for the outcome.
func TestSamplersSeeBatches(t *testing.T) {
	ctx := tracetest.Context(t)
	rdb := redistest.Start(t).Client()
	sampler := &tracetest.RecordingSampler{Sampler: sdktrace.AlwaysSample()}
	tracetest.Instrument(t, rdb, tracetest.NewRecorder(t, sdktrace.WithSampler(sampler)))
	pipe := rdb.Pipeline()
	pipe.Publish(ctx, "reports", "hello")
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	asked := sampler.Calls[1]
	tracetest.AssertAttributeSet(t, "the sampler's question", asked.Attributes, tracetest.MessagingOn(rdb, "send", "reports", tracetest.BatchSize(1)))
	if asked.Name != "send reports" || len(asked.Links) != 1 {
		t.Errorf("the sampler was asked about %q with %d links, want one", asked.Name, len(asked.Links))
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

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

// The channels of the hook decide first, then WithFilter, then WithEnvelopeFilter.
func TestChannelsAndFilters(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, reason                string
		channels, filter, envelopes bool
		span, envelope              bool
	}{
		{"all", "the usual case", true, true, true, true, true},
		{"not among the channels", "its consumers cannot read envelopes", false, true, true, false, false},
		{"filtered", "it is left alone", true, false, true, false, false},
		{"without envelope", "a span, and the payload as it is", true, true, false, true, false},
		{"neither", "a channel that is left out needs no envelope filter", false, false, false, false, false},
	}
	server := redistest.Start(t)
	for _, row := range rows {
		for _, p := range tracetest.Publishers {
			t.Run(row.name+"/"+p.Name, func(t *testing.T) {
				ctx, rec, channel := tracetest.Context(t), tracetest.NewRecorder(t), row.name+"/"+p.Name
				rdb := server.Client()
				var a tracetest.CallCounter
				decide := func(option string, yes bool) func(string) bool {
					return func(got string) bool {
						a.Count(option)
						if got != channel {
							t.Errorf("%s was called with %q, want %q", option, got, channel)
						}
						return yes
					}
				}
				var errs tracetest.ErrorLog
				err := tracedpubsub.Instrument(rdb, decide("channels", row.channels),
					tracedpubsub.WithTracerProvider(rec), errs.Option(),
					tracedpubsub.WithFilter(decide("filter", row.filter)),
					tracedpubsub.WithEnvelopeFilter(decide("envelopes", row.envelopes)),
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
				if envelope := wire != "hello"; envelope != row.envelope {
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

// A panic of a function is reported to the error handler once, and the message is sent. If
// the function that chooses the channels panics, the channel is not traced.
func TestHookAndPanickingFunctions(t *testing.T) {
	panics := func(string) bool { panic(tracetest.ErrTest) }
	rows := []struct {
		name, reason string
		channels     func(string) bool
		option       tracedpubsub.Option
		span, plain  bool
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
					if plain := tracetest.NextRaw(t, raw).Payload == "hello"; plain != row.plain {
						t.Errorf("the payload was sent without an envelope: %t, want %t: %s", plain, row.plain, row.reason)
					}
					if traced := len(rec.Ended()) > 0; traced != row.span {
						t.Errorf("the spans are %v: %s", tracetest.Names(rec.Ended()), row.reason)
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

// The options for consumers apply to messages that a hook has traced.
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

// Several Clients and a hook over one pool each apply their own options.
func TestHookAndClientsOverOnePool(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		hooking, filtered, unwrapped, wrapped := tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
		no := func(string) bool { return false }
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		tracetest.Instrument(t, rdb, hooking)
		rows := []struct {
			name, reason  string
			client        *tracedpubsub.Client
			rec           *tracetest.Recorder
			spans, hooked int
		}{
			{"filtered", "the Client leaves it alone, and the hook sees a payload", tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(filtered), tracedpubsub.WithFilter(no)), filtered, 0, 1},
			{"without envelope", "the Client has its span, and wants no envelope", tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(unwrapped), tracedpubsub.WithEnvelopeFilter(no)), unwrapped, 1, 0},
			{"with envelope", "the hook sees an envelope", tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(wrapped)), wrapped, 1, 0},
		}
		hooked := 0
		for _, row := range rows {
			tracetest.AssertSent(t, row.client.Publish(ctx, "reports", "hello"))
			spans := row.rec.Spans(t, row.spans)
			hooked += row.hooked
			seen := hooking.Spans(t, hooked)
			if m := tracetest.NextRaw(t, raw); row.name != "without envelope" {
				tracetest.AssertCarries(t, m, "hello", append(spans, seen[len(seen)-row.hooked:]...)[0])
			} else if m.Payload != "hello" {
				t.Errorf("on the wire is %q, want hello: %s", m.Payload, row.reason)
			}
		}
	})
}

// Without spans a message carries the context of the caller.
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

// A sampler gets the attributes of the span of a batch, except for the outcome.
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
	call := sampler.Calls[1]
	tracetest.AssertAttributeSet(t, "the call of the sampler", call.Attributes, tracetest.MessagingOn(rdb, "send", "reports", tracetest.BatchSize(1)))
	if call.Name != "send reports" || len(call.Links) != 1 {
		t.Errorf("the sampler was called for %q with %d links, want one", call.Name, len(call.Links))
	}
}

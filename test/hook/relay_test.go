// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"testing"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// relayed is the producer of ForeignEnvelope and laterEnvelope.
var relayed = trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c},
	SpanID:  trace.SpanID{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31},
})

const (
	laterEnvelope = `{"tracedpubsub":2,` + tracetest.ForeignTraceparent + `,"anything":0}`
	emptyEnvelope = `{"tracedpubsub":1,"payload":"hello"}`
)

// relays are batches with messages that are envelopes already, as a relay sends them.
var relays = []struct {
	name, reason string
	payloads     []string
}{
	{"envelopes", "all were created elsewhere", []string{tracetest.ForeignEnvelope, tracetest.ForeignEnvelope}},
	{"later version", "its payload is unknown, its producer is not", []string{laterEnvelope}},
	{"without context", "there is no producer to link to", []string{emptyEnvelope}},
	{"envelope first", "links are in the order of the messages", []string{tracetest.ForeignEnvelope, "hello", "world"}},
	{"envelopes last", "likewise", []string{"hello", emptyEnvelope, tracetest.ForeignEnvelope}},
}

// An envelope in a pipeline is one of the messages of the batch. It is sent as it is, and
// the span of the batch links to its producer.
func TestHookedPipelineOfRelay(t *testing.T) {
	server := redistest.Start(t)
	for _, mode := range []struct {
		name, reason string
		option       tracedpubsub.Option
		only         bool
	}{
		{"default", "the usual case", nil, false},
		{"batch span only", "its span is the context of the messages that are not envelopes", tracedpubsub.WithBatchSpanOnly(), true},
		{"public endpoint", "the option is about consumers", tracedpubsub.WithPublicEndpoint(), false},
	} {
		for _, p := range tracetest.Pipelines {
			for _, row := range relays {
				t.Run(mode.name+"/"+p.Name+"/"+row.name, func(t *testing.T) {
					ctx, rec, metered, behind := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t), &recordingHook{}
					rdb, raw := server.Client(), tracetest.ReadyRaw(t, server.Client().Subscribe(ctx, row.name))
					tracetest.Instrument(t, rdb, rec, mode.option, metered.Option())
					rdb.AddHook(behind)
					publishing, caller := tracetest.WithCaller(t, ctx)

					cmds, err := p.Run(rdb, publishing, func(pipe redis.Pipeliner) error {
						for _, payload := range row.payloads {
							pipe.Publish(ctx, row.name, payload)
						}
						return nil
					})
					if err != nil {
						t.Fatalf("%v: %s, %s, %s", err, mode.reason, p.Reason, row.reason)
					}
					spans := rec.Ended()
					send := spans[len(spans)-1]
					tracetest.AssertName(t, send, "send "+row.name)
					tracetest.AssertChildOf(t, send, caller)
					tracetest.AssertSucceeded(t, send)
					tracetest.AssertAttributes(t, send, tracetest.MessagingOn(rdb, "send", row.name, tracetest.BatchSize(len(row.payloads)))...)
					assertRelayed(t, row.payloads, spans, mode.only, raw)
					for i, payload := range row.payloads {
						if same := behind.saw(cmds[i]); same != (payload[0] == '{') {
							t.Errorf("for %s the command of the caller was sent: %t", payload, same)
						}
					}
					n := int64(len(row.payloads))
					metered.AssertPoints(t, tracetest.SentMessages, tracetest.MessagePoint(n, rdb, "send"))
					metered.AssertPoints(t, tracetest.OperationDuration, tracetest.MessagePoint(1, rdb, "send"))
				})
			}
		}
	}
}

// assertRelayed asserts what was sent for the payloads of a batch, and what its spans are.
// The last one is the span of the batch.
func assertRelayed(t *testing.T, payloads []string, spans []sdktrace.ReadOnlySpan, only bool, raw *redis.PubSub) {
	t.Helper()
	created, send := spans[:len(spans)-1], spans[len(spans)-1]
	var links []trace.SpanContext
	kind := trace.SpanKindClient
	for _, payload := range payloads {
		m := tracetest.NextRaw(t, raw)
		switch {
		case payload[0] == '{':
			if m.Payload != payload {
				t.Errorf("on the wire is %q, want %q as it was", m.Payload, payload)
			}
			if payload != emptyEnvelope {
				links = append(links, relayed)
			}
		case only:
			kind = trace.SpanKindProducer // it creates some of the messages
			tracetest.AssertCarries(t, m, payload, send)
		case len(created) == 0:
			t.Fatalf("there is no span for %q: %v", payload, tracetest.Names(spans))
		default:
			tracetest.AssertCarries(t, m, payload, created[0])
			links = append(links, created[0].SpanContext())
			created = created[1:]
		}
	}
	if len(created) != 0 {
		t.Errorf("there are more spans than messages: %v", tracetest.Names(spans))
	}
	tracetest.AssertKind(t, send, kind)
	tracetest.AssertLinks(t, send, links...)
}

// Messages that PublishTo adds to a pipeline of a client with a hook are in its batch.
func TestHookedPipelineOfClient(t *testing.T) {
	server := redistest.Start(t)
	for _, p := range tracetest.Pipelines {
		t.Run(p.Name, func(t *testing.T) {
			ctx, rec, metered := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
			rdb, raw := server.Client(), tracetest.ReadyRaw(t, server.Client().Subscribe(ctx, p.Name))
			tracetest.Instrument(t, rdb, rec, metered.Option())
			client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), metered.Option())
			publishing, caller := tracetest.WithCaller(t, ctx)
			_, err := p.Run(rdb, publishing, func(pipe redis.Pipeliner) error {
				client.PublishTo(publishing, pipe, p.Name, "of the client")
				pipe.Publish(ctx, p.Name, "of the hook")
				return nil
			})
			if err != nil {
				t.Fatalf("%v: %s", err, p.Reason)
			}
			spans := rec.Spans(t, 3)
			for _, s := range spans {
				tracetest.AssertChildOf(t, s, caller)
			}
			tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "of the client", spans[0])
			tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "of the hook", spans[1])
			tracetest.AssertKind(t, spans[2], trace.SpanKindClient)
			tracetest.AssertLinks(t, spans[2], spans[0].SpanContext(), spans[1].SpanContext())
			tracetest.AssertAttributes(t, spans[2], tracetest.MessagingOn(rdb, "send", p.Name, tracetest.BatchSize(2))...)
			metered.AssertPoints(t, tracetest.SentMessages, tracetest.MessagePoint(2, rdb, "send"))
			metered.AssertPoints(t, tracetest.OperationDuration, tracetest.MessagePoint(1, rdb, "send"))
		})
	}
}

// If the propagator panics, the link is missing, and the message is sent.
func TestHookedPipelineOfRelayAndPanickingPropagator(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := redistest.Start(t).Client()
	raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
	var errs tracetest.ErrorLog
	tracetest.Instrument(t, rdb, rec, tracedpubsub.WithPropagators(tracetest.PanickingPropagator{}), errs.Option())
	if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Publish(ctx, "reports", tracetest.ForeignEnvelope)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := tracetest.NextRaw(t, raw).Payload; got != tracetest.ForeignEnvelope {
		t.Errorf("on the wire is %q, want %q", got, tracetest.ForeignEnvelope)
	}
	tracetest.AssertLinks(t, rec.Spans(t, 1)[0])
	errs.AssertOne(t, tracetest.ErrTest)
}

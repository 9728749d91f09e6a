// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A payload is wrapped once, by the Client or by the hook.
func TestHookAndPublish(t *testing.T) {
	server := redistest.Start(t)
	for _, p := range tracetest.Publishers {
		for _, w := range tracetest.WaysToPublish {
			t.Run(p.Name+"/"+w.Name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				tracetest.SetGlobalTracer(t, rec)
				hooked := server.Client()
				tracetest.Instrument(t, hooked, rec)
				client, channel := tracedpubsub.Wrap(hooked), p.Name+"/"+w.Name
				raw := tracetest.ReadyRaw(t, w.Subscribe(server.Client(), ctx, channel))
				publishing, caller := tracetest.WithCaller(t, ctx)

				var cmd *redis.IntCmd
				err := p.With(ctx, hooked, func(p tracetest.Publisher) { cmd = w.Publish(client, publishing, p, channel, "hello") })
				if err != nil {
					t.Fatalf("%v: %s", err, p.Reason)
				}
				tracetest.AssertSent(t, cmd)
				spans := rec.Ended() // of Publish, and at most that of the batch of the hook
				if len(spans) == 2 && p.Deferred {
					tracetest.AssertKind(t, spans[1], trace.SpanKindClient)
					tracetest.AssertLinks(t, spans[1], spans[0].SpanContext())
					tracetest.AssertAttributes(t, spans[1], tracetest.MessagingOn(hooked, "send", channel, tracetest.BatchSize(1))...)
				} else if len(spans) != 1 || p.Deferred && p.Name != "AsyncAutoPipeline" { // it may send the message alone
					t.Fatalf("the spans are %v: %s", tracetest.Names(spans), p.Reason)
				}
				tracetest.AssertChildOf(t, spans[0], caller)
				tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", spans[0])
			})
		}
	}
}

// Of two hooks the first one traces the message.
func TestTwoHooks(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, first, second := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
		raw := tracetest.ReadyRaw(t, rdb.PSubscribe(ctx, "*"))
		if err := tracedpubsub.Instrument(rdb, func(channel string) bool { return channel != "second" }, tracedpubsub.WithTracerProvider(first)); err != nil {
			t.Fatal(err)
		}
		tracetest.Instrument(t, rdb, second)

		tracetest.AssertSent(t, rdb.Publish(ctx, "first", "hello"))
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", first.Spans(t, 1)[0])
		second.Spans(t, 0)
		tracetest.AssertSent(t, rdb.Publish(ctx, "second", "hello"))
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", second.Spans(t, 1)[0])

		_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Publish(ctx, "first", "hello")
			pipe.Publish(ctx, "second", "hello")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", first.Spans(t, 3)[1])
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", second.Spans(t, 3)[1])
	})
}

// A hook without envelopes leaves envelopes alone as well.
func TestHookWithoutEnvelopeAndPublish(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec, hooking := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
		tracetest.Instrument(t, rdb, hooking, tracedpubsub.WithEnvelopeFilter(func(string) bool { return false }))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", rec.Spans(t, 1)[0])
		hooking.Spans(t, 0)
		tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		if got := tracetest.NextRaw(t, raw).Payload; got != "hello" {
			t.Errorf("on the wire is %q, want hello", got)
		}
		hooking.Spans(t, 1)
	})
}

// A payload is an envelope also if JSON escapes hide that.
func TestHookSeesThroughEscapes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, reason, message string
		envelope              bool
	}{
		{"plain", "the usual one", `{"tracedpubsub":1,"payload":"hello"}`, true},
		{"other order, white space", "other writers may do so", ` { "payload" : "hello" , "tracedpubsub" : 1 } `, true},
		{"escaped marker", "names are compared unescaped", `{"\u0074racedpubsub":1,"payload":"hello"}`, true},
		{"all of it escaped", "names are compared unescaped", `{"payload":"hello","` + escaped("tracedpubsub") + `":1}`, true},
		{"later version", "a later release has written it", `{"tracedpubsub":2,"anything":0}`, true},
		{"no payload", "it is malformed", `{"tracedpubsub":1}`, false},
		{"document that mentions it", "it is a payload", `{"library":"tracedpubsub"}`, false},
		{"document with a trace context", "it is a payload", foreignDocument, false},
		{"text", "it is a payload", `tracedpubsub`, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
			rdb := redistest.Start(t).Client()
			tracetest.Instrument(t, rdb, rec)
			for _, payload := range []any{row.message, []byte(row.message), &row.message, tracetest.Marshaled(row.message)} {
				before := len(rec.Ended())
				tracetest.AssertSent(t, rdb.Publish(ctx, "reports", payload))
				if left := len(rec.Ended()) == before; left != row.envelope {
					t.Errorf("%T was left alone: %t, want %t: %s", payload, left, row.envelope, row.reason)
				}
			}
		})
	}
}

const foreignDocument = `{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":7}`

func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(`\u00` + string("0123456789abcdef"[r>>4]) + string("0123456789abcdef"[r&15]))
	}
	return b.String()
}

// Another hook may send copies of the commands. The first hook still traces their
// messages.
func TestBatchOfSeveralHooksAndCopies(t *testing.T) {
	ctx, first, then, metered := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
	rdb := redistest.Start(t).Client()
	var errs tracetest.ErrorLog
	tracetest.Instrument(t, rdb, first, metered.Option(), errs.Option())
	rdb.AddHook(cloning{})
	tracetest.Instrument(t, rdb, then, metered.Option())
	if err := pipelined(ctx, rdb.Pipelined, "reports", "reports"); err != nil {
		t.Fatal(err)
	}
	first.Spans(t, 3)
	then.Spans(t, 0)
	if n := metered.Total(t, tracetest.SentMessages); n != 2 {
		t.Errorf("%d messages were counted, want 2", n)
	}
	errs.AssertNone(t) // the copies have the trace context
}

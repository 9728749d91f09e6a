// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// A payload is wrapped once, whoever does it.
func TestHookAndPublish(t *testing.T) {
	server := redistest.Start(t)
	for _, p := range publishers {
		for _, w := range waysToPublish {
			t.Run(p.name+"/"+w.name, func(t *testing.T) {
				ctx, rec := testContext(t), newRecorder(t)
				setGlobalTracer(t, rec)
				hooked := server.Client()
				instrument(t, hooked, rec)
				client, channel := tracedpubsub.Wrap(hooked), p.name+"/"+w.name
				raw := readyRaw(t, w.subscribe(server.Client(), ctx, channel))
				publishing, caller := withCaller(t, ctx)

				var cmd *redis.IntCmd
				err := p.with(ctx, hooked, func(p publisher) { cmd = w.publish(client, publishing, p, channel, "hello") })
				if err != nil {
					t.Fatalf("%v: %s", err, p.reason)
				}
				assertSent(t, cmd)
				spans := rec.sofar() // that of Publish, and of the hook at most that of the batch
				if len(spans) == 2 && p.deferred {
					assertKind(t, spans[1], trace.SpanKindClient)
					assertLinks(t, spans[1], spans[0].SpanContext())
					assertAttributes(t, spans[1], served(hooked, "send", channel, batchOf(1))...)
				} else if len(spans) != 1 || p.deferred && p.name != "AsyncAutoPipeline" { // which may send it alone
					t.Fatalf("the spans are %v: %s", names(spans), p.reason)
				}
				assertChildOf(t, spans[0], caller)
				assertCarries(t, nextRaw(t, raw), "hello", spans[0])
			})
		}
	}
}

// Of two hooks the first has the message.
func TestTwoHooks(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, first, second := testContext(t), newRecorder(t), newRecorder(t)
		raw := readyRaw(t, rdb.PSubscribe(ctx, "*"))
		if err := tracedpubsub.Instrument(rdb, func(channel string) bool { return channel != "second" }, tracedpubsub.WithTracerProvider(first)); err != nil {
			t.Fatal(err)
		}
		instrument(t, rdb, second)

		assertSent(t, rdb.Publish(ctx, "first", "hello"))
		assertCarries(t, nextRaw(t, raw), "hello", first.spans(t, 1)[0])
		second.spans(t, 0)
		assertSent(t, rdb.Publish(ctx, "second", "hello"))
		assertCarries(t, nextRaw(t, raw), "hello", second.spans(t, 1)[0])

		_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Publish(ctx, "first", "hello")
			pipe.Publish(ctx, "second", "hello")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		assertCarries(t, nextRaw(t, raw), "hello", first.spans(t, 3)[1])
		assertCarries(t, nextRaw(t, raw), "hello", second.spans(t, 3)[1])
	})
}

// A hook that wraps nothing leaves envelopes alone as well.
func TestBareHookAndPublish(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec, hooking := testContext(t), newRecorder(t), newRecorder(t)
		instrument(t, rdb, hooking, tracedpubsub.WithEnvelopeFilter(func(string) bool { return false }))
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		assertSent(t, client.Publish(ctx, "reports", "hello"))
		assertCarries(t, nextRaw(t, raw), "hello", rec.spans(t, 1)[0])
		hooking.spans(t, 0)
		assertSent(t, rdb.Publish(ctx, "reports", "hello"))
		if got := nextRaw(t, raw).Payload; got != "hello" {
			t.Errorf("on the wire is %q, want hello", got)
		}
		hooking.spans(t, 1)
	})
}

// An envelope that a relay passes on is left as it is, with the creation context that
// it has; what merely resembles one is a payload. The vectors of the wire format tell
// which is which.
func TestHookAndRelays(t *testing.T) {
	ctx, rec := testContext(t), newRecorder(t)
	rdb := redistest.Start(t).Client()
	instrument(t, rdb, rec, tracedpubsub.WithPropagators(everyField))
	raw := readyRaw(t, rdb.Subscribe(ctx, "relay"))
	wrapped := 0
	for _, v := range readVectors(t).Decode {
		t.Run(v.Name, func(t *testing.T) {
			message := string(v.Message)
			assertSent(t, rdb.Publish(ctx, "relay", message))
			wire := nextRaw(t, raw).Payload
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
			rec.spans(t, wrapped)
		})
	}
}

// The escapes of JSON do not hide an envelope.
func TestHookSeesThroughEscapes(t *testing.T) {
	for _, row := range []struct {
		name, reason, message string
		envelope              bool
	}{
		{"plain", "the usual one", `{"tracedpubsub":1,"payload":"hello"}`, true},
		{"other order, white space", "any writer may", ` { "payload" : "hello" , "tracedpubsub" : 1 } `, true},
		{"escaped marker", "names are compared unescaped", `{"\u0074racedpubsub":1,"payload":"hello"}`, true},
		{"all of it escaped", "names are compared unescaped", `{"payload":"hello","` + escaped("tracedpubsub") + `":1}`, true},
		{"later version", "a later release has written it", `{"tracedpubsub":2,"anything":0}`, true},
		{"no payload", "it is malformed", `{"tracedpubsub":1}`, false},
		{"document that talks of it", "it is a payload", `{"library":"tracedpubsub"}`, false},
		{"document with the context of another", "it is a payload", foreignEnvelopeOfAnother, false},
		{"text", "it is a payload", `tracedpubsub`, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, rec := testContext(t), newRecorder(t)
			rdb := redistest.Start(t).Client()
			instrument(t, rdb, rec)
			for _, payload := range []any{row.message, []byte(row.message), &row.message, marshaled(row.message)} {
				before := len(rec.sofar())
				assertSent(t, rdb.Publish(ctx, "reports", payload))
				if left := len(rec.sofar()) == before; left != row.envelope {
					t.Errorf("%T was left alone: %t, want %t: %s", payload, left, row.envelope, row.reason)
				}
			}
		})
	}
}

const foreignEnvelopeOfAnother = `{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":7}`

func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(`\u00` + string("0123456789abcdef"[r>>4]) + string("0123456789abcdef"[r&15]))
	}
	return b.String()
}

// Another hook may copy commands, as ours do: their messages stay those of the first hook.
func TestBatchOfSeveralHooksAndCopies(t *testing.T) {
	ctx, first, then, metered := testContext(t), newRecorder(t), newRecorder(t), newMetering(t)
	rdb := redistest.Start(t).Client()
	instrument(t, rdb, first, metered.option(), tracedpubsub.WithErrorHandler(func(error) {})) // which misses its copies
	rdb.AddHook(cloning{})
	instrument(t, rdb, then, metered.option())
	if err := pipelined(ctx, rdb.Pipelined, "reports", "reports"); err != nil {
		t.Fatal(err)
	}
	first.spans(t, 3)
	then.spans(t, 0)
	if n := metered.total(t, sentMessages); n != 2 {
		t.Errorf("%d messages were counted, want 2", n)
	}
}

// cloning is a hook that sends copies.
type cloning struct{ unhooked }

func (cloning) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		copies := slices.Clone(cmds)
		for i, cmd := range cmds {
			copies[i] = cmd.Clone()
		}
		return next(ctx, copies)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"bytes"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The envelopes of a batch share pieces of memory. No message may reach into the memory
// of another one.
func TestHookedPipelineOfManyLengths(t *testing.T) {
	const messages = 300 // more than fit into one piece
	for name, opts := range map[string][]tracedpubsub.Option{
		"a span for each message": nil,
		"one span for the batch":  {tracedpubsub.WithBatchSpanOnly()},
	} {
		t.Run(name, func(t *testing.T) {
			tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "c", "unwrapped"))
				own := tracetest.OtherClient(t, rdb)
				tracetest.Instrument(t, own, rec, append(opts, tracedpubsub.WithEnvelopeFilter(func(channel string) bool { return channel != "unwrapped" }))...)

				payload := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 1+i*i*7%1500) }
				pipe := own.Pipeline()
				for i := range messages {
					switch {
					case i%7 == 3:
						pipe.Publish(ctx, "unwrapped", payload(i))
					case i%5 == 2:
						pipe.Do(ctx, "publish", "c", payload(i))
					case i%5 == 4:
						_ = pipe.Process(ctx, redis.NewRawCmd(ctx, "publish", "c", payload(i)))
					default:
						pipe.Publish(ctx, "c", payload(i))
					}
				}
				cmds, err := pipe.Exec(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for i, cmd := range cmds {
					if got, want := cmd.Args()[2], payload(i); got != want {
						t.Fatalf("command %d has the payload %.30q, want %.30q", i, got, want)
					}
				}
				want := messages + 1
				if opts != nil {
					want = 1
				}
				spans := rec.Spans(t, want)
				for i := range messages {
					m := tracetest.NextRaw(t, raw)
					if i%7 == 3 {
						if m.Payload != payload(i) {
							t.Fatalf("message %d is %.30q, want it without an envelope: %.30q", i, m.Payload, payload(i))
						}
						continue
					}
					span := spans[len(spans)-1]
					if opts == nil {
						span = spans[i]
					}
					tracetest.AssertCarries(t, m, payload(i), span)
				}
			})
		})
	}
}

// reused is a payload that is marshaled into a buffer that it shares with others.
type reused struct {
	buffer *bytes.Buffer
	text   string
}

func (r reused) MarshalBinary() ([]byte, error) {
	r.buffer.Reset()
	r.buffer.WriteString(r.text)
	return r.buffer.Bytes(), nil
}

// go-redis copies the bytes of a payload before it marshals the next one, and so must the
// hook.
func TestHookedPipelineOfOneBuffer(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "c"))
		own := tracetest.OtherClient(t, rdb)
		tracetest.Instrument(t, own, rec)

		payloads := []string{"first", "second", "third"}
		var buffer bytes.Buffer
		if _, err := own.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, payload := range payloads {
				pipe.Publish(ctx, "c", reused{&buffer, payload})
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		spans := rec.Spans(t, len(payloads)+1)
		for i, payload := range payloads {
			tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), payload, spans[i])
		}
	})
}

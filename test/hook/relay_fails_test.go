// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// relayFailures are batches of a relay of which a message or another command fails.
var relayFailures = []struct {
	name, reason string
	behind       redis.Hook // nil: none
	fill         func(ctx context.Context, pipe redis.Pipeliner)
	sent, failed int64
	errorType    string
}{{
	name:   "second message",
	reason: "Redis refuses it and executes the others",
	fill: func(ctx context.Context, pipe redis.Pipeliner) {
		pipe.Publish(ctx, "allowed", tracetest.ForeignEnvelope)
		pipe.Publish(ctx, "forbidden", tracetest.ForeignEnvelope)
		pipe.Publish(ctx, "allowed", tracetest.ForeignEnvelope)
	},
	sent: 2, failed: 1, errorType: "NOPERM",
}, {
	name:   "message of the hook",
	reason: "the relayed message succeeds",
	fill: func(ctx context.Context, pipe redis.Pipeliner) {
		pipe.Publish(ctx, "forbidden", "hello")
		pipe.Do(ctx, "PUBLISH", "allowed", tracetest.ForeignEnvelope)
	},
	sent: 1, failed: 1, errorType: "NOPERM",
}, {
	name:   "another command",
	reason: "it is not about the messages",
	fill: func(ctx context.Context, pipe redis.Pipeliner) {
		pipe.Set(ctx, "key", "value", 0)
		pipe.Incr(ctx, "key")
		pipe.Publish(ctx, "allowed", tracetest.ForeignEnvelope)
	},
	sent: 1,
}, {
	name:   "command of another server",
	reason: "it is lost, the message is not",
	behind: losing{},
	fill: func(ctx context.Context, pipe redis.Pipeliner) {
		pipe.Publish(ctx, "allowed", tracetest.ForeignEnvelope)
		pipe.Get(ctx, "key")
	},
	sent: 1,
}, {
	name:   "batch that is not sent",
	reason: "the error is that of the whole batch",
	behind: rejecting{},
	fill: func(ctx context.Context, pipe redis.Pipeliner) {
		pipe.Publish(ctx, "allowed", tracetest.ForeignEnvelope)
	},
	failed: 1, errorType: tracetest.PlainErrorType,
}}

// Each envelope of a relay has its own outcome, as any message has.
func TestRelayFailsInPart(t *testing.T) {
	t.Parallel()
	for _, row := range relayFailures {
		t.Run(row.name, func(t *testing.T) {
			t.Log(row.reason)
			ctx, rec, metered := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
			rdb := limited(t)
			tracetest.Instrument(t, rdb, rec, metered.Option(), tracedpubsub.WithBatchSpanOnly())
			assertSamePipeline(t, ctx, rdb, row.behind, row.fill)

			send := rec.Spans(t, 1)[0]
			var counted []tracetest.Point
			if row.sent > 0 {
				counted = append(counted, tracetest.MessagePoint(row.sent, rdb, "send"))
			}
			if row.failed > 0 {
				counted = append(counted, tracetest.MessagePoint(row.failed, rdb, "send", tracetest.ErrorType(row.errorType)))
				tracetest.AssertFailed(t, send, row.errorType)
			} else {
				tracetest.AssertSucceeded(t, send)
			}
			metered.AssertPoints(t, tracetest.SentMessages, counted...)
		})
	}
}

// If the server does not answer, or the transaction is not executed, every message has
// failed.
func TestRelayFails(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, reason string
		client       func(t *testing.T) *redis.Client
		run          func(redis.UniversalClient, context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error)
		errorType    string
	}{
		{"dead server", "no server answers", tracetest.UnreachableClient, redis.UniversalClient.Pipelined, "connection"},
		{"transaction", "all messages fail with one of them", limited, redis.UniversalClient.TxPipelined, "EXECABORT"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, rec, metered := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
			rdb := row.client(t)
			tracetest.Instrument(t, rdb, rec, metered.Option())
			if _, err := row.run(rdb, ctx, func(pipe redis.Pipeliner) error {
				pipe.Publish(ctx, "allowed", tracetest.ForeignEnvelope)
				pipe.Publish(ctx, "forbidden", tracetest.ForeignEnvelope)
				return nil
			}); err == nil {
				t.Fatalf("there is no error: %s", row.reason)
			}
			tracetest.AssertFailed(t, rec.Spans(t, 1)[0], row.errorType)
			if n := metered.Total(t, tracetest.SentMessages); n != 2 {
				t.Errorf("%d messages were counted, want 2", n)
			}
		})
	}
}

// Reading a command of an asynchronous auto-pipeline waits for the batch, which waits for
// the hook, so the hook must not read it. This holds in another goroutine as well, where
// go-redis does not detect the deadlock.
func TestRelayInAutoPipeline(t *testing.T) {
	t.Parallel()
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprintf("in another goroutine %t", elsewhere), func(t *testing.T) {
			ctx, metered := tracetest.Context(t), tracetest.NewMetrics(t)
			rdb := limited(t)
			if elsewhere {
				rdb.AddHook(goroutineHook{})
			}
			tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), metered.Option())
			ap, err := rdb.AsyncAutoPipeline()
			if err != nil {
				t.Fatal(err)
			}
			const n = 100
			var cmds []*redis.IntCmd
			for i := range 2 * n {
				cmds = append(cmds, ap.Publish(ctx, []string{"allowed", "forbidden"}[i%2], tracetest.ForeignEnvelope))
			}
			for i, cmd := range cmds {
				if failed := cmd.Err() != nil; failed != (i%2 == 1) {
					t.Errorf("command %d has the error %v", i, cmd.Err())
				}
			}
			if err := ap.Close(); err != nil {
				t.Fatal(err)
			}
			counted := make(map[string]int64)
			for _, p := range metered.Points(t, tracetest.SentMessages) {
				kind, _ := p.Attributes.Value("error.type")
				counted[kind.AsString()] = p.N
			}
			// There may be fewer, as go-redis sends some messages alone and not in a batch.
			sent, failed := counted[""], counted["NOPERM"]
			if len(counted) != 2 || sent < 1 || sent > n || failed < 1 || failed > n {
				t.Errorf("counted were %v, want up to %d sent and as many refused", counted, n)
			}
		})
	}
}

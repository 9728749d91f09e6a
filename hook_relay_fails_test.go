// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// An envelope that goes out as it is has an outcome of its own, as any message has.
func TestRelayFailsInPart(t *testing.T) {
	for _, row := range []struct {
		name, reason string
		behind       redis.Hook // nil: none
		fill         func(ctx context.Context, pipe redis.Pipeliner)
		sent, failed int64
		errorType    string
	}{{
		name:   "second message",
		reason: "Redis refuses it and goes on",
		fill: func(ctx context.Context, pipe redis.Pipeliner) {
			pipe.Publish(ctx, "allowed", foreignEnvelope)
			pipe.Publish(ctx, "forbidden", foreignEnvelope)
			pipe.Publish(ctx, "allowed", foreignEnvelope)
		},
		sent: 2, failed: 1, errorType: "NOPERM",
	}, {
		name:   "message of the hook",
		reason: "that of a relay has nothing to do with it",
		fill: func(ctx context.Context, pipe redis.Pipeliner) {
			pipe.Publish(ctx, "forbidden", "hello")
			pipe.Do(ctx, "PUBLISH", "allowed", foreignEnvelope)
		},
		sent: 1, failed: 1, errorType: "NOPERM",
	}, {
		name:   "another command",
		reason: "it is not about the messages",
		fill: func(ctx context.Context, pipe redis.Pipeliner) {
			pipe.Set(ctx, "key", "value", 0)
			pipe.Incr(ctx, "key")
			pipe.Publish(ctx, "allowed", foreignEnvelope)
		},
		sent: 1,
	}, {
		name:   "command of another server",
		reason: "it is lost, and the message is not",
		behind: losing{},
		fill: func(ctx context.Context, pipe redis.Pipeliner) {
			pipe.Publish(ctx, "allowed", foreignEnvelope)
			pipe.Get(ctx, "key")
		},
		sent: 1,
	}, {
		name:   "batch that is not sent",
		reason: "the error is on no command, and about all",
		behind: aborting{},
		fill: func(ctx context.Context, pipe redis.Pipeliner) {
			pipe.Publish(ctx, "allowed", foreignEnvelope)
		},
		failed: 1, errorType: plainErrorType,
	}} {
		t.Run(row.name, func(t *testing.T) {
			t.Log(row.reason)
			ctx, rec, metered := testContext(t), newRecorder(t), newMetering(t)
			rdb := limited(t)
			bare := patientless(t, &redis.Options{Addr: rdb.Options().Addr, Username: "limited", Password: "secret"})
			instrument(t, rdb, rec, metered.option(), tracedpubsub.WithBatchSpanOnly())
			if row.behind != nil {
				rdb.AddHook(row.behind)
				bare.AddHook(row.behind)
			}
			fill := func(pipe redis.Pipeliner) error { row.fill(ctx, pipe); return nil }
			got, gotErr := rdb.Pipelined(ctx, fill)
			want, wantErr := bare.Pipelined(ctx, fill)
			assertSameCommands(t, got, want)
			assertSameError(t, gotErr, wantErr)

			send := rec.spans(t, 1)[0]
			var counted []point
			if row.sent > 0 {
				counted = append(counted, seriesOf(row.sent, rdb, "send"))
			}
			if row.failed > 0 {
				counted = append(counted, seriesOf(row.failed, rdb, "send", errorType(row.errorType)))
				assertFailed(t, send, row.errorType)
			} else {
				assertSucceeded(t, send)
			}
			metered.assertPoints(t, sentMessages, counted...)
		})
	}
}

// losing is a hook that loses the connection for what comes second, as a ring does that
// has lost one of its shards.
type losing struct{ unhooked }

func (losing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := next(ctx, cmds[:1]); err != nil {
			return err
		}
		cmds[1].SetErr(io.ErrUnexpectedEOF)
		return io.ErrUnexpectedEOF
	}
}

// All that a dead server does not answer has failed, and so has a transaction that does
// not take place.
func TestRelayFails(t *testing.T) {
	for _, row := range []struct {
		name, reason string
		client       func(t *testing.T) *redis.Client
		run          func(redis.UniversalClient, context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error)
		errorType    string
	}{
		{"dead server", "nobody answers", deadClient, redis.UniversalClient.Pipelined, "connection"},
		{"transaction", "one message takes the others with it", limited, redis.UniversalClient.TxPipelined, "EXECABORT"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, rec, metered := testContext(t), newRecorder(t), newMetering(t)
			rdb := row.client(t)
			instrument(t, rdb, rec, metered.option())
			if _, err := row.run(rdb, ctx, func(pipe redis.Pipeliner) error {
				pipe.Publish(ctx, "allowed", foreignEnvelope)
				pipe.Publish(ctx, "forbidden", foreignEnvelope)
				return nil
			}); err == nil {
				t.Fatalf("there is no error: %s", row.reason)
			}
			assertFailed(t, rec.spans(t, 1)[0], row.errorType)
			if n := metered.total(t, sentMessages); n != 2 {
				t.Errorf("%d messages were counted, want 2", n)
			}
		})
	}
}

// The command of an asynchronous auto-pipeline makes its readers wait for the batch, which
// waits for the hook: a hook that read it would wait for itself. Nor does go-redis help
// where another hook goes on in another goroutine.
func TestRelayInAutoPipeline(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprintf("in another goroutine %t", elsewhere), func(t *testing.T) {
			ctx, metered := testContext(t), newMetering(t)
			rdb := limited(t)
			if elsewhere {
				rdb.AddHook(hurrying{})
			}
			instrument(t, rdb, newRecorder(t), metered.option())
			ap, err := rdb.AsyncAutoPipeline()
			if err != nil {
				t.Fatal(err)
			}
			const n = 100
			var cmds []*redis.IntCmd
			for i := range 2 * n {
				cmds = append(cmds, ap.Publish(ctx, []string{"allowed", "forbidden"}[i%2], foreignEnvelope))
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
			for _, p := range metered.points(t, sentMessages) {
				kind, _ := p.attributes.Value("error.type")
				counted[kind.AsString()] = p.n
			}
			// What go-redis sends alone is in no batch: there may be fewer.
			sent, failed := counted[""], counted["NOPERM"]
			if len(counted) != 2 || sent < 1 || sent > n || failed < 1 || failed > n {
				t.Errorf("counted were %v, want up to %d each of those sent and those refused", counted, n)
			}
		})
	}
}

// hurrying is a hook that goes on in another goroutine, as one with a deadline does.
type hurrying struct{ unhooked }

func (hurrying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		done := make(chan error)
		go func() { done <- next(ctx, cmds) }()
		return <-done
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// limited is a client that may publish on some channels only.
func limited(t *testing.T) *redis.Client {
	t.Helper()
	return tracetest.NoRetryClient(t, &redis.Options{Addr: limitedServer(t).Addr(), Username: "limited", Password: "secret"})
}

// The first message that fails says why, whatever becomes of the others.
func TestPipelineFailsInPart(t *testing.T) {
	rows := []struct {
		name, reason string
		fill         func(ctx context.Context, pipe redis.Pipeliner)
		messages     int
		errorType    string // "": none of the messages has failed
	}{{
		name:   "second message",
		reason: "Redis refuses it and goes on",
		fill: func(ctx context.Context, pipe redis.Pipeliner) {
			pipe.Publish(ctx, "allowed", "hello")
			pipe.Publish(ctx, "forbidden", "hello")
			pipe.Publish(ctx, "allowed", "hello")
		},
		messages:  3,
		errorType: "NOPERM",
	}, {
		name:   "another command",
		reason: "it is not about the messages",
		fill: func(ctx context.Context, pipe redis.Pipeliner) {
			pipe.Set(ctx, "key", "value", 0)
			pipe.Incr(ctx, "key")
			pipe.Publish(ctx, "allowed", "hello")
		},
		messages: 1,
	}, {
		name:   "payload that go-redis refuses",
		reason: "it takes the whole pipeline with it",
		fill: func(ctx context.Context, pipe redis.Pipeliner) {
			pipe.Publish(ctx, "allowed", "hello")
			pipe.Publish(ctx, "allowed", tracetest.Unsupported{ID: 7})
		},
		messages:  2,
		errorType: tracetest.PlainErrorType,
	}}
	for _, row := range rows {
		for _, only := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/batch span only %t", row.name, only), func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				rdb, spans := limited(t), row.messages+1
				var opts []tracedpubsub.Option
				if only {
					opts, spans = append(opts, tracedpubsub.WithBatchSpanOnly()), 1
				}
				tracetest.Instrument(t, rdb, rec, opts...)
				bare := tracetest.NoRetryClient(t, &redis.Options{Addr: rdb.Options().Addr, Username: "limited", Password: "secret"})
				fill := func(pipe redis.Pipeliner) error { row.fill(ctx, pipe); return nil }
				got, gotErr := rdb.Pipelined(ctx, fill)
				want, wantErr := bare.Pipelined(ctx, fill)
				assertSameCommands(t, got, want)
				tracetest.AssertSameError(t, gotErr, wantErr)

				send := rec.Spans(t, spans)[spans-1]
				if row.errorType == "" {
					tracetest.AssertSucceeded(t, send)
				} else {
					tracetest.AssertFailed(t, send, row.errorType)
				}
				if !only {
					tracetest.AssertSucceeded(t, rec.Spans(t, spans)[0]) // it was created
				}
			})
		}
	}
}

// A transaction that does not take place has sent nothing.
func TestTransactionFails(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := limited(t)
	tracetest.Instrument(t, rdb, rec)
	_, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Publish(ctx, "allowed", "hello")
		pipe.Publish(ctx, "forbidden", "hello")
		return nil
	})
	if err == nil {
		t.Fatal("the transaction has taken place")
	}
	tracetest.AssertFailed(t, rec.Spans(t, 3)[2], "EXECABORT")

	err = rdb.Watch(ctx, func(tx *redis.Tx) error {
		if err := rdb.Set(ctx, "key", "changed", 0).Err(); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Publish(ctx, "allowed", "hello")
			return nil
		})
		return err
	}, "key")
	tracetest.AssertSameError(t, err, redis.TxFailedErr)
	tracetest.AssertFailed(t, rec.Spans(t, 5)[4], "_OTHER")
}

// Nobody answers: every message has failed, and the batch.
func TestPipelineOfDeadServer(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := tracetest.UnreachableClient(t)
	tracetest.Instrument(t, rdb, rec)
	cmds, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Publish(ctx, "reports", "hello")
		return nil
	})
	if err == nil || cmds[0].Err() == nil {
		t.Errorf("Exec returned %v, the command has %v", err, cmds[0].Err())
	}
	spans := rec.Spans(t, 2)
	tracetest.AssertSucceeded(t, spans[0])
	tracetest.AssertFailed(t, spans[1], "connection")
}

// The same with a command whose reply could not be given back, so that it goes out
// itself.
func TestPipelineOfDeadServerWithAnotherType(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := tracetest.UnreachableClient(t)
	tracetest.Instrument(t, rdb, rec, tracedpubsub.WithErrorHandler(func(error) {}))
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		return pipe.Process(ctx, redis.NewBoolCmd(ctx, "publish", "reports", "hello"))
	})
	if err == nil {
		t.Error("Exec returned no error")
	}
	tracetest.AssertFailed(t, rec.Spans(t, 2)[1], "connection")
}

// A hook behind ours that sends nothing decides for the batch.
func TestPipelineThatIsNotSent(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := redistest.Start(t).Client()
	tracetest.Instrument(t, rdb, rec)
	rdb.AddHook(aborting{})
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Publish(ctx, "reports", "hello")
		return nil
	})
	tracetest.AssertSameError(t, err, tracetest.ErrTest)
	tracetest.AssertFailed(t, rec.Spans(t, 2)[1], tracetest.PlainErrorType)
}

// aborting is a hook that lets no pipeline pass.
type aborting struct{ unhooked }

func (aborting) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return tracetest.ErrTest }
}

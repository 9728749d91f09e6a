// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The span of a batch has the error of the first message that fails.
func TestPipelineFailsInPart(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, reason string
		fill         func(ctx context.Context, pipe redis.Pipeliner)
		messages     int
		errorType    string // "": none of the messages has failed
	}{{
		name:   "second message",
		reason: "Redis refuses it and executes the others",
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
		reason: "the whole pipeline fails with it",
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
				assertSamePipeline(t, ctx, rdb, nil, row.fill)

				send := rec.Spans(t, spans)[spans-1]
				if row.errorType == "" {
					tracetest.AssertSucceeded(t, send)
				} else {
					tracetest.AssertFailed(t, send, row.errorType)
				}
				if !only {
					tracetest.AssertSucceeded(t, rec.Spans(t, spans)[0]) // the message was created
				}
			})
		}
	}
}

// The span of a transaction that is not executed has the error of EXEC.
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
		t.Fatal("the transaction was executed")
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

// Where no server answers, the commands and the batch have failed.
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

// The same with a command of a type that the hook cannot copy replies to.
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

// If another hook behind this one sends nothing, its error is that of the batch.
func TestPipelineThatIsNotSent(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := redistest.Start(t).Client()
	tracetest.Instrument(t, rdb, rec)
	rdb.AddHook(rejecting{})
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Publish(ctx, "reports", "hello")
		return nil
	})
	tracetest.AssertSameError(t, err, tracetest.ErrTest)
	tracetest.AssertFailed(t, rec.Spans(t, 2)[1], tracetest.PlainErrorType)
}

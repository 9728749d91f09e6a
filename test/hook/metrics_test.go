// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// measuredByHook is a use of a client that has a hook, and what is recorded for it. Other
// tests compare the metrics with the spans: see Metrics.AssertMatch.
type measuredByHook struct {
	name, reason string
	options      []tracedpubsub.Option
	twice        bool // there is another hook behind it
	publish      func(ctx context.Context, rdb *redis.Client, client *tracedpubsub.Client) error
	operation    string
	sent         map[string]int64 // messages by error.type
	took         map[string]int64 // operations likewise
}

var measuredByHooks = []measuredByHook{{
	name:   "single",
	reason: "as with Publish of the library",
	publish: func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
		return rdb.Publish(ctx, "allowed", "1").Err()
	},
	operation: "publish", sent: map[string]int64{"": 1}, took: map[string]int64{"": 1},
}, {
	name:   "pipeline",
	reason: "three messages in one batch",
	publish: func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
		return pipelined(ctx, rdb.Pipelined, "allowed", "allowed", "allowed")
	},
	operation: "send", sent: map[string]int64{"": 3}, took: map[string]int64{"": 1},
}, {
	name:   "transaction",
	reason: "MULTI and EXEC are not messages",
	publish: func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
		return pipelined(ctx, rdb.TxPipelined, "allowed", "allowed")
	},
	operation: "send", sent: map[string]int64{"": 2}, took: map[string]int64{"": 1},
}, {
	name:   "Watch",
	reason: "its transaction passes the hooks of the client",
	publish: func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
		return rdb.Watch(ctx, func(tx *redis.Tx) error { return pipelined(ctx, tx.TxPipelined, "allowed", "allowed") }, "key")
	},
	operation: "send", sent: map[string]int64{"": 2}, took: map[string]int64{"": 1},
}, {
	name:    "batch span only",
	reason:  "other spans, the same messages",
	options: []tracedpubsub.Option{tracedpubsub.WithBatchSpanOnly()},
	publish: func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
		return pipelined(ctx, rdb.Pipelined, "allowed", "allowed", "allowed")
	},
	operation: "send", sent: map[string]int64{"": 3}, took: map[string]int64{"": 1},
}, {
	name:   "partial failure",
	reason: "each message has its own outcome, and the batch the error of the first that failed",
	publish: func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
		return answeredWith("NOPERM", pipelined(ctx, rdb.Pipelined, "allowed", "forbidden", "allowed"))
	},
	operation: "send", sent: map[string]int64{"": 2, "NOPERM": 1}, took: map[string]int64{"NOPERM": 1},
}, {
	name:   "transaction that fails",
	reason: "one message was refused, and none was sent",
	publish: func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
		return answeredWith("EXECABORT", pipelined(ctx, rdb.TxPipelined, "allowed", "forbidden", "allowed"))
	},
	operation: "send", sent: map[string]int64{"EXECABORT": 2, "NOPERM": 1}, took: map[string]int64{"EXECABORT": 1},
}, {
	name:   "hook and Client",
	reason: "the Client counts it, and the hook sees an envelope",
	publish: func(ctx context.Context, _ *redis.Client, client *tracedpubsub.Client) error {
		return client.Publish(ctx, "allowed", "1").Err()
	},
	operation: "publish", sent: map[string]int64{"": 1}, took: map[string]int64{"": 1},
}, {
	name:   "hook and Client, refused",
	reason: "a failure is counted once as well",
	publish: func(ctx context.Context, _ *redis.Client, client *tracedpubsub.Client) error {
		return answeredWith("NOPERM", client.Publish(ctx, "forbidden", "1").Err())
	},
	operation: "publish", sent: map[string]int64{"NOPERM": 1}, took: map[string]int64{"NOPERM": 1},
}, {
	name:   "two hooks",
	reason: "the first hook counts it, and the second sees an envelope",
	twice:  true,
	publish: func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
		return rdb.Publish(ctx, "allowed", "1").Err()
	},
	operation: "publish", sent: map[string]int64{"": 1}, took: map[string]int64{"": 1},
}}

// Each message of a command or pipeline counts once, and each command or pipeline has one
// duration.
func TestHookMetrics(t *testing.T) {
	server := limitedServer(t)
	for _, row := range measuredByHooks {
		t.Run(row.name, func(t *testing.T) {
			rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "limited", Password: "secret"})
			t.Cleanup(func() { _ = rdb.Close() })
			m := tracetest.NewMetrics(t)
			options := append([]tracedpubsub.Option{m.Option()}, row.options...)
			tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), options...)
			if row.twice {
				tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), options...)
			}
			if err := row.publish(tracetest.Context(t), rdb, tracedpubsub.Wrap(rdb, options...)); err != nil {
				t.Fatal(err)
			}
			m.AssertPoints(t, tracetest.SentMessages, pointsOf(row.sent, rdb, row.operation)...)
			m.AssertPoints(t, tracetest.OperationDuration, pointsOf(row.took, rdb, row.operation)...)
			m.AssertOnly(t, tracetest.SentMessages, tracetest.OperationDuration)
			if t.Failed() {
				t.Log(row.reason)
			}
		})
	}
}

// The exemplar is the span that the hook measured: for a pipeline, the span of the batch.
func TestExemplarsOfHook(t *testing.T) {
	t.Parallel()
	for _, row := range measuredByHooks[:3] {
		t.Run(row.name, func(t *testing.T) {
			rdb, m, rec := redistest.Start(t).Client(), tracetest.NewMetrics(t), tracetest.NewRecorder(t)
			tracetest.Instrument(t, rdb, rec, m.Option())
			ctx, _ := tracetest.WithCaller(t, tracetest.Context(t))
			if err := row.publish(ctx, rdb, nil); err != nil {
				t.Fatal(err)
			}
			spans := rec.Ended()
			want := spans[len(spans)-1].SpanContext()
			traceID, spanID := want.TraceID(), want.SpanID()
			for _, name := range []string{tracetest.SentMessages, tracetest.OperationDuration} {
				points := m.Points(t, name)
				if len(points) != 1 || len(points[0].Exemplars) == 0 {
					t.Errorf("%s has %+v, want one series with exemplars", name, points)
					continue
				}
				for _, e := range points[0].Exemplars {
					if !slices.Equal(e.TraceID, traceID[:]) || !slices.Equal(e.SpanID, spanID[:]) {
						t.Errorf("the exemplar of %s is span %x of trace %x, want %v of %v", name, e.SpanID, e.TraceID, spanID, traceID)
					}
				}
			}
			if t.Failed() {
				t.Log(row.reason)
			}
		})
	}
}

// pointsOf returns the series of an operation by error.type; "" is for none.
func pointsOf(byError map[string]int64, rdb *redis.Client, operation string) (points []tracetest.Point) {
	for failure, n := range byError {
		if failure == "" {
			points = append(points, tracetest.MessagePoint(n, rdb, operation))
		} else {
			points = append(points, tracetest.MessagePoint(n, rdb, operation, tracetest.ErrorType(failure)))
		}
	}
	return points
}

// pipelined publishes on channels with a function of go-redis that runs a pipeline.
func pipelined(ctx context.Context, run func(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error), channels ...string) error {
	_, err := run(ctx, func(pipe redis.Pipeliner) error {
		for _, channel := range channels {
			pipe.Publish(ctx, channel, "hello")
		}
		return nil
	})
	return err
}

// answeredWith returns nil if err is an error of the server with the given prefix.
func answeredWith(prefix string, err error) error {
	if answer, ok := tracetest.As[redis.Error](err); ok && strings.HasPrefix(answer.Error(), prefix+" ") {
		return nil
	}
	return fmt.Errorf("got %w, want %s", err, prefix)
}

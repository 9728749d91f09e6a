// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisoteltest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// way is a way to send the message hello. It does so on the sharded channel reports, for
// which a cluster has one node.
type way struct {
	name, reason string
	options      []tracedpubsub.Option
	send         func(ctx context.Context, rdb redis.UniversalClient) error
	n            int    // messages
	redisotel    string // its span
	want         func(redisotel string, first bool) []string
}

var ways = []way{{
	name:   "single",
	reason: "each library has a span for it",
	send: func(ctx context.Context, rdb redis.UniversalClient) error {
		return rdb.SPublish(ctx, "reports", "hello").Err()
	},
	n: 1, redisotel: "spublish", want: alone,
}, {
	name:   "pipeline",
	reason: "each library has a span for the batch, and the hook has one for each message",
	send: func(ctx context.Context, rdb redis.UniversalClient) error {
		_, err := rdb.Pipelined(ctx, two(ctx))
		return err
	},
	n: 2, redisotel: "redis.pipeline spublish", want: batched,
}, {
	name:   "transaction",
	reason: "likewise",
	send: func(ctx context.Context, rdb redis.UniversalClient) error {
		_, err := rdb.TxPipelined(ctx, two(ctx))
		return err
	},
	n: 2, redisotel: "redis.pipeline multi spublish exec", want: batched,
}, {
	name:    "batch span only",
	reason:  "each library has a span for the batch",
	options: []tracedpubsub.Option{tracedpubsub.WithBatchSpanOnly()},
	send: func(ctx context.Context, rdb redis.UniversalClient) error {
		_, err := rdb.Pipelined(ctx, two(ctx))
		return err
	},
	n: 2, redisotel: "redis.pipeline spublish", want: batchedOnly,
}, {
	name:    "transaction, batch span only",
	reason:  "likewise",
	options: []tracedpubsub.Option{tracedpubsub.WithBatchSpanOnly()},
	send: func(ctx context.Context, rdb redis.UniversalClient) error {
		_, err := rdb.TxPipelined(ctx, two(ctx))
		return err
	},
	n: 2, redisotel: "redis.pipeline multi spublish exec", want: batchedOnly,
}}

func two(ctx context.Context) func(redis.Pipeliner) error {
	return func(pipe redis.Pipeliner) error {
		pipe.SPublish(ctx, "reports", "hello")
		pipe.SPublish(ctx, "reports", "hello")
		return nil
	}
}

// alone returns the spans of one message that is sent alone.
func alone(redisotel string, first bool) []string {
	ours := redisotel + " reports"
	if first {
		return []string{redisotel, redisotel + " > " + ours, redisotel + " > " + ours + " > process reports"}
	}
	return []string{ours, ours + " > " + redisotel, ours + " > process reports"}
}

// batched returns the spans of two messages in a batch.
func batched(redisotel string, first bool) []string {
	outside, inside := redisotel+" > ", ""
	if !first {
		outside, inside = "", "send reports > "
	}
	return []string{inside + redisotel, outside + "send reports",
		outside + "create reports", outside + "create reports > process reports",
		outside + "create reports", outside + "create reports > process reports"}
}

// batchedOnly returns the spans of two messages in a batch that have no spans of their own.
func batchedOnly(redisotel string, first bool) []string {
	send, inside := redisotel+" > send reports", redisotel
	if !first {
		send, inside = "send reports", "send reports > "+redisotel
	}
	return []string{inside, send, send + " > process reports", send + " > process reports"}
}

// assertWay installs both libraries on rdb, sends and receives messages, and asserts the
// spans of both. The span of redisotel is expected around that of the hook if first is
// true, and within it otherwise.
func assertWay(t *testing.T, order order, way way, rdb redis.UniversalClient, first bool) *tracing {
	t.Helper()
	tr := newTracing(t)
	order.install(tr, t, rdb, way.options...)
	sub := subscribe(t, tr, rdb)
	got := tr.tree(t, func(ctx context.Context) {
		if err := way.send(ctx, rdb); err != nil {
			t.Fatal(err)
		}
		receive(t, ctx, sub, way.n)
	})
	assertTree(t, got, way.want(way.redisotel, first)...)
	return tr
}

func TestBesideRedisotel(t *testing.T) {
	server := redistest.Start(t)
	for _, order := range orders {
		for _, way := range ways {
			t.Run(order.name+"/"+way.name, func(t *testing.T) {
				tr := assertWay(t, order, way, server.Client(), order.first)
				if got := statement(tr, way.redisotel); way.n == 1 && !strings.HasPrefix(got, order.statement) {
					t.Errorf("db.statement is %q, want %q", got, order.statement)
				}
				if t.Failed() {
					t.Logf("%s; %s", order.reason, way.reason)
				}
			})
		}
	}
}

func TestBesideRedisotelOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	for _, order := range orders {
		for _, way := range ways {
			t.Run(order.name+"/"+way.name, func(t *testing.T) {
				// redisotel is on the nodes only, and the hook on the client, in either order.
				assertWay(t, order, way, cluster.Client(), false)
			})
		}
		t.Run(order.name+"/Watch", func(t *testing.T) {
			tr, rdb := newTracing(t), cluster.Client()
			order.install(tr, t, rdb)
			sub := subscribe(t, tr, rdb)
			got := tr.tree(t, func(ctx context.Context) {
				err := rdb.Watch(ctx, func(tx *redis.Tx) error { return tx.SPublish(ctx, "reports", "hello").Err() }, "reports")
				if err != nil {
					t.Fatal(err)
				}
				receive(t, ctx, sub, 1)
			})
			got = slices.DeleteFunc(got, func(path string) bool { return path == "watch" || path == "unwatch" })
			assertTree(t, got, alone("spublish", order.first)...) // both libraries are on the node
		})
	}
}

// An auto-pipeline sends some messages in batches, which may have one message, and some
// alone.
func TestBesideRedisotelOnAutoPipelines(t *testing.T) {
	server := redistest.Start(t)
	const n = 20
	for name, open := range map[string]func(*redis.Client) (*redis.AutoPipeliner, error){
		"blocking":     (*redis.Client).AutoPipeline,
		"asynchronous": (*redis.Client).AsyncAutoPipeline,
	} {
		for _, order := range orders {
			t.Run(name+"/"+order.name, func(t *testing.T) {
				tr, rdb := newTracing(t), server.Client()
				order.install(tr, t, rdb)
				sub := subscribe(t, tr, rdb)
				ap, err := open(rdb)
				if err != nil {
					t.Fatal(err)
				}
				got := make(map[string]int)
				for _, path := range tr.tree(t, func(ctx context.Context) {
					for range n {
						ap.SPublish(ctx, "reports", "hello")
					}
					if err := ap.Close(); err != nil {
						t.Fatal(err)
					}
					receive(t, ctx, sub, n)
				}) {
					got[path]++
				}
				// Its hooks do not get the context of the caller, so the spans have no parent.
				single, batch := alone("spublish", order.first), batched("redis.pipeline spublish", order.first)
				total := got[noCaller+single[0]] + got[noCaller+batch[2]]
				want := make(map[string]int)
				for _, path := range single {
					want[noCaller+path] = got[noCaller+single[0]]
				}
				for _, path := range batch[:2] {
					want[noCaller+path] = got[noCaller+batch[0]]
				}
				for _, path := range batch[2:4] {
					want[noCaller+path] = got[noCaller+batch[2]]
				}
				maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
				if total != n || !maps.Equal(got, want) {
					t.Errorf("the spans are %v of %d messages, want %v of %d", got, total, want, n)
				}
			})
		}
	}
}

// A full-duplex auto-pipeline calls hooks for each command, with the context of the caller.
func TestBesideRedisotelOnFullDuplex(t *testing.T) {
	server := redistest.Start(t)
	for _, order := range orders {
		t.Run(order.name, func(t *testing.T) {
			tr, rdb := newTracing(t), server.Client()
			// For db.statement redisotel reads commands while go-redis writes their replies.
			tr.options = append(tr.options, redisotel.WithDBStatement(false))
			// The missing envelope is reported.
			order.install(tr, t, rdb, tracedpubsub.WithErrorHandler(func(error) {}))
			sub := subscribe(t, tr, rdb)
			ap, err := rdb.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{FullDuplex: true})
			if err != nil {
				t.Fatal(err)
			}
			got := tr.tree(t, func(ctx context.Context) {
				ap.SPublish(ctx, "reports", "hello")
				if err := ap.Close(); err != nil {
					t.Fatal(err)
				}
				receive(t, ctx, sub, 1)
			})
			want := alone("spublish", order.first)
			want[2] = noCaller + "process reports"
			assertTree(t, got, want...)
		})
	}
}

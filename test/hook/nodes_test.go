// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// severalPublishers are the ways to publish through a client of several servers. The key
// and the channel are in one slot.
var severalPublishers = []struct {
	name, reason string
	with         func(ctx context.Context, rdb redis.UniversalClient, key string, use func(commander)) error
	pipeline     bool
}{{
	name:   "client",
	reason: "a Ring sends Publish directly to a shard, and other commands through its own hooks",
	with: func(_ context.Context, rdb redis.UniversalClient, _ string, use func(commander)) error {
		use(rdb)
		return nil
	},
}, {
	name:   "Tx",
	reason: "it belongs to a node, and passes the hooks of that node only",
	with: func(ctx context.Context, rdb redis.UniversalClient, key string, use func(commander)) error {
		return rdb.Watch(ctx, func(tx *redis.Tx) error { use(tx); return nil }, key)
	},
}, {
	name:   "Pipelined",
	reason: "it passes the hooks of the client, and then those of each node",
	with: func(ctx context.Context, rdb redis.UniversalClient, _ string, use func(commander)) error {
		_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
		return err
	},
	pipeline: true,
}, {
	name:   "TxPipelined",
	reason: "likewise, and MULTI and EXEC are made for each node",
	with: func(ctx context.Context, rdb redis.UniversalClient, _ string, use func(commander)) error {
		_, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
		return err
	},
	pipeline: true,
}, {
	name:   "TxPipelined in Watch",
	reason: "it belongs to a node",
	with: func(ctx context.Context, rdb redis.UniversalClient, key string, use func(commander)) error {
		return rdb.Watch(ctx, func(tx *redis.Tx) error {
			_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
			return err
		}, key)
	},
	pipeline: true,
}}

// listenFunc subscribes to a channel.
type listenFunc func(ctx context.Context, channel string, sharded bool) *redis.PubSub

// listenBy subscribes with rdb.
func listenBy(rdb redis.UniversalClient) listenFunc {
	return func(ctx context.Context, channel string, sharded bool) *redis.PubSub {
		if sharded {
			return rdb.SSubscribe(ctx, channel)
		}
		return rdb.Subscribe(ctx, channel)
	}
}

// assertSeenOnce instruments rdb, calls then, and asserts that each message of
// severalPublishers is traced once. Messages without an envelope are among them, as they
// would have a second span if a second hook saw them.
func assertSeenOnce(t *testing.T, rdb redis.UniversalClient, listen listenFunc, then func()) {
	t.Helper()
	rec, meters := tracetest.NewRecorder(t), tracetest.NewMetrics(t)
	var a tracetest.CallCounter
	err := tracedpubsub.Instrument(rdb, func(string) bool { a.Count("channels"); return true },
		tracedpubsub.WithTracerProvider(rec), meters.Option(),
		tracedpubsub.WithEnvelopeFilter(func(channel string) bool { return channel[0] != 'u' }))
	if err != nil {
		t.Fatal(err)
	}
	then()
	total := 0
	for _, p := range severalPublishers {
		for _, c := range commands {
			for _, unwrapped := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/without envelope %t", p.name, c.name, unwrapped), func(t *testing.T) {
					ctx := tracetest.Context(t)
					channel := "wrapped"
					if unwrapped {
						channel = "unwrapped"
					}
					channel += "{" + p.name + c.name + "}"
					raw := tracetest.ReadyRaw(t, listen(ctx, channel, c.sharded))
					publishing, caller := tracetest.WithCaller(t, ctx)
					var reply func() (int64, error)
					err := p.with(publishing, rdb, "{"+p.name+c.name+"}", func(p commander) { reply = c.run(publishing, p, channel) })
					if err != nil {
						t.Fatalf("%v: %s", err, p.reason)
					}
					if _, err := reply(); err != nil {
						t.Error(err)
					}
					want := []string{c.operation + " " + channel}
					if p.pipeline {
						want = []string{"create " + channel, "send " + channel}
					}
					total += len(want)
					spans := rec.Spans(t, total)[total-len(want):]
					if !slices.Equal(tracetest.Names(spans), want) {
						t.Errorf("the spans are %v, want %v: %s", tracetest.Names(spans), want, p.reason)
					}
					operations := []string{c.operation}
					if p.pipeline {
						operations = []string{"create", "send"}
					}
					for i, s := range spans {
						tracetest.AssertChildOf(t, s, caller)
						attributes := tracetest.Messaging(operations[i], channel)
						if operations[i] == "send" {
							attributes = append(attributes, tracetest.BatchSize(1))
						}
						tracetest.AssertAttributes(t, s, attributes...)
					}
					assertWire(t, tracetest.NextRaw(t, raw), unwrapped, spans[0])
					a.Assert(t, "for one message", map[string]int{"channels": 1})
				})
			}
		}
	}
	meters.AssertMatch(t, rec.Ended())
}

// assertWire asserts that m is hello, in an envelope of span or without one.
func assertWire(t *testing.T, m *redis.Message, unwrapped bool, span sdktrace.ReadOnlySpan) {
	t.Helper()
	if !unwrapped {
		tracetest.AssertCarries(t, m, "hello", span)
	} else if m.Payload != "hello" {
		t.Errorf("on the wire is %q, want hello", m.Payload)
	}
}

// assertOneBatch asserts that a batch is traced as one, no matter how many nodes it is
// sent to.
func assertOneBatch(t *testing.T, rdb redis.UniversalClient, listen listenFunc) {
	t.Helper()
	ctx, rec, meters := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
	tracetest.Instrument(t, rdb, rec, meters.Option())
	const n = 30
	var raws []*redis.PubSub
	for i := range n {
		raws = append(raws, tracetest.ReadyRaw(t, listen(ctx, fmt.Sprint("batch ", i), true)))
	}
	publishing, caller := tracetest.WithCaller(t, ctx)
	_, err := rdb.Pipelined(publishing, func(pipe redis.Pipeliner) error {
		for i := range n {
			pipe.SPublish(ctx, fmt.Sprint("batch ", i), "hello")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	spans := rec.Spans(t, n+1)
	var created []trace.SpanContext
	for i, raw := range raws {
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", spans[i])
		created = append(created, spans[i].SpanContext())
	}
	tracetest.AssertName(t, spans[n], "send")
	tracetest.AssertChildOf(t, spans[n], caller)
	tracetest.AssertLinks(t, spans[n], created...)
	tracetest.AssertSucceeded(t, spans[n])
	meters.AssertMatch(t, spans)
}

func TestHookOnRing(t *testing.T) {
	// Do of a Ring sends PUBLISH to any shard. If both shards are one server, its
	// subscribers receive all messages.
	server := redistest.Start(t)
	servers := map[string]string{"one": server.Addr(), "two": redistest.NewProxy(t, server.Addr()).Addr()}
	ring := func(addrs map[string]string) *redis.Ring {
		rdb := redis.NewRing(&redis.RingOptions{Addrs: addrs})
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	}
	listen := listenBy(server.Client())
	t.Run("shards that are there", func(t *testing.T) { assertSeenOnce(t, ring(servers), listen, func() {}) })
	t.Run("shards that are added later", func(t *testing.T) {
		rdb := ring(map[string]string{"one": servers["one"]})
		assertSeenOnce(t, rdb, listen, func() { rdb.SetAddrs(servers) })
	})
	t.Run("batch over all shards", func(t *testing.T) { assertOneBatch(t, ring(servers), listen) })
}

// Instrument does not connect to servers.
func TestInstrumentDoesNotDial(t *testing.T) {
	var dialed atomic.Int32
	dial := func(context.Context, string, string) (net.Conn, error) {
		dialed.Add(1)
		return nil, tracetest.ErrTest
	}
	for name, rdb := range map[string]redis.UniversalClient{
		"Client":        redis.NewClient(&redis.Options{Dialer: dial}),
		"ClusterClient": redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"one:6379", "two:6379"}, Dialer: dial}),
		"Ring": redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": "one:6379"}, Dialer: dial,
			HeartbeatFrequency: time.Hour}),
	} {
		t.Cleanup(func() { _ = rdb.Close() })
		if err := tracedpubsub.Instrument(rdb, tracetest.AllChannels); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := dialed.Load(); n != 0 {
		t.Errorf("there were %d dials", n)
	}
}

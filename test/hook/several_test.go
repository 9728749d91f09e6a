// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// hookedClient is a client, and a function that adds a hook behind those of the client:
// to its nodes, if it has any.
type hookedClient struct {
	redis.UniversalClient
	listen listenFunc
	add    func(redis.Hook)
}

// onEachHookedClient runs test for each type of client; open makes a new one.
func onEachHookedClient(t *testing.T, test func(t *testing.T, open func() hookedClient)) {
	t.Helper()
	t.Run("Client", func(t *testing.T) {
		server := redistest.Start(t)
		test(t, func() hookedClient {
			rdb := server.Client()
			return hookedClient{rdb, listenBy(rdb), rdb.AddHook}
		})
	})
	t.Run("ClusterClient", func(t *testing.T) {
		redistest.Long(t)
		cluster := redistest.StartCluster(t)
		test(t, func() hookedClient {
			rdb := cluster.Client()
			return hookedClient{rdb, listenBy(cluster.Client()), func(h redis.Hook) {
				rdb.OnNewNode(func(node *redis.Client) { node.AddHook(h) })
			}}
		})
	})
	t.Run("Ring", func(t *testing.T) {
		server := redistest.Start(t)
		addrs := map[string]string{"one": server.Addr(), "two": redistest.NewProxy(t, server.Addr()).Addr()} // one server, whose subscribers receive all messages
		test(t, func() hookedClient {
			rdb := redis.NewRing(&redis.RingOptions{Addrs: addrs})
			t.Cleanup(func() { _ = rdb.Close() })
			return hookedClient{rdb, listenBy(server.Client()), func(h redis.Hook) {
				_ = rdb.ForEachShard(t.Context(), func(_ context.Context, shard *redis.Client) error {
					shard.AddHook(h)
					return nil
				})
			}}
		})
	})
}

// Of several hooks the first one that sees a message traces it, and a batch is traced
// once.
func TestBatchOfSeveralHooks(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, reason string
		inner        func(channel string) bool
		option       tracedpubsub.Option // of the first hook
		first, then  []string            // the channels that they trace
		unwrapped    bool
	}{
		{"same channels", "the first hook traces all messages", tracetest.AllChannels, nil, []string{"a", "b"}, nil, false},
		{"other channels", "each hook traces its own", func(channel string) bool { return channel == "b" },
			tracedpubsub.WithFilter(func(channel string) bool { return channel == "a" }), []string{"a"}, []string{"b"}, false},
		{"first hook without envelopes", "the second hook leaves its messages alone", tracetest.AllChannels,
			tracedpubsub.WithEnvelopeFilter(func(string) bool { return false }), []string{"a", "b"}, nil, true},
	}
	onEachHookedClient(t, func(t *testing.T, open func() hookedClient) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				ctx, rdb := tracetest.Context(t), open()
				first, then, metered := tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
				tracetest.Instrument(t, rdb.UniversalClient, first, row.option, metered.Option())
				rdb.add(tracedpubsub.NewHook(row.inner, tracedpubsub.WithTracerProvider(then), metered.Option()))
				last := tracetest.NewRecorder(t)
				rdb.add(tracedpubsub.NewHook(tracetest.AllChannels, tracedpubsub.WithTracerProvider(last), metered.Option()))
				raws := map[string]*redis.PubSub{"a": tracetest.ReadyRaw(t, rdb.listen(ctx, "a", true)), "b": tracetest.ReadyRaw(t, rdb.listen(ctx, "b", true))}

				if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
					for _, channel := range []string{"a", "b"} {
						pipe.SPublish(ctx, channel, tracetest.ForeignEnvelope)
						pipe.SPublish(ctx, channel, "hello")
					}
					return nil
				}); err != nil {
					t.Fatalf("%v: %s", err, row.reason)
				}
				assertBatchAbout(t, first, row.first, raws, row.unwrapped)
				assertBatchAbout(t, then, row.then, raws, row.unwrapped)
				if n := metered.Total(t, tracetest.SentMessages); n != 4 {
					t.Errorf("%d messages were counted, want 4: %s", n, row.reason)
				}

				// The first hook traces a single message as well.
				before, after := len(first.Ended()), len(then.Ended())
				tracetest.AssertSent(t, rdb.SPublish(ctx, "a", "hello"))
				assertWire(t, tracetest.NextRaw(t, raws["a"]), row.unwrapped, first.Spans(t, before+1)[before])
				then.Spans(t, after)
				last.Spans(t, 0)
			})
		}
	})
}

// assertBatchAbout asserts that a hook has traced a batch with an envelope and another
// message on each of the channels, or nothing if there are none.
func assertBatchAbout(t *testing.T, rec *tracetest.Recorder, channels []string, raws map[string]*redis.PubSub, unwrapped bool) {
	t.Helper()
	if len(channels) == 0 {
		rec.Spans(t, 0)
		return
	}
	spans := rec.Spans(t, len(channels)+1)
	var links []trace.SpanContext
	for i, channel := range channels {
		tracetest.AssertName(t, spans[i], "create "+channel)
		links = append(links, relayed, spans[i].SpanContext())
		if got := tracetest.NextRaw(t, raws[channel]).Payload; got != tracetest.ForeignEnvelope {
			t.Errorf("on the wire is %q, want %q", got, tracetest.ForeignEnvelope)
		}
		assertWire(t, tracetest.NextRaw(t, raws[channel]), unwrapped, spans[i])
	}
	send := spans[len(channels)]
	tracetest.AssertKind(t, send, trace.SpanKindClient)
	tracetest.AssertLinks(t, send, links...)
	if n, _ := tracetest.AttributeOf(send, "messaging.batch.message_count"); n.AsInt64() != int64(2*len(channels)) {
		t.Errorf("the span counts %d messages, want %d", n.AsInt64(), 2*len(channels))
	}
}

// The first hook traces a single message even if it cannot make an envelope of it.
func TestSeveralHooksAndOneWithoutEnvelope(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, reason string
		cmd          func(ctx context.Context) redis.Cmder
		failed       bool
	}{
		{"payload that go-redis refuses", "its error is on the command", func(ctx context.Context) redis.Cmder {
			return redis.NewIntCmd(ctx, "spublish", "reports", tracetest.Unsupported{ID: 7})
		}, true},
		{"payload that fails to marshal", "it is not marshaled again", func(ctx context.Context) redis.Cmder {
			return redis.NewIntCmd(ctx, "spublish", "reports", &tracetest.FailingPayload{Err: tracetest.ErrTest})
		}, true},
		{"command of another type", "a hook cannot send another payload with it", func(ctx context.Context) redis.Cmder {
			return incomparable{IntCmd: redis.NewIntCmd(ctx, "spublish", "reports", "hello")}
		}, false},
	}
	onEachHookedClient(t, func(t *testing.T, open func() hookedClient) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				ctx, rdb := tracetest.Context(t), open()
				first, then, metered, log := tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t), new(tracetest.ErrorLog)
				tracetest.Instrument(t, rdb.UniversalClient, first, metered.Option(), log.Option())
				rdb.add(tracedpubsub.NewHook(tracetest.AllChannels, tracedpubsub.WithTracerProvider(then), metered.Option(), log.Option()))
				if err := rdb.Process(ctx, row.cmd(ctx)); (err != nil) != row.failed {
					t.Errorf("the command has %v: %s", err, row.reason)
				}
				first.Spans(t, 1)
				then.Spans(t, 0)
				if n := metered.Total(t, tracetest.SentMessages); n != 1 {
					t.Errorf("%d messages were counted, want 1: %s", n, row.reason)
				}
				if all := log.All(); !row.failed && len(all) != 1 || row.failed && len(all) != 0 {
					t.Errorf("the error handler got %v: %s", all, row.reason)
				}
			})
		}
	})
}

// Hooks leave alone what a Client has traced and sends without an envelope.
func TestHookAndClientWithoutEnvelope(t *testing.T) {
	t.Parallel()
	onEachHookedClient(t, func(t *testing.T, open func() hookedClient) {
		ctx, rdb := tracetest.Context(t), open()
		rec, hooking, metered := tracetest.NewRecorder(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
		tracetest.Instrument(t, rdb.UniversalClient, hooking, metered.Option())
		rdb.add(tracedpubsub.NewHook(tracetest.AllChannels, tracedpubsub.WithTracerProvider(hooking), metered.Option()))
		client := tracedpubsub.Wrap(rdb.UniversalClient, tracedpubsub.WithTracerProvider(rec), metered.Option(),
			tracedpubsub.WithEnvelopeFilter(func(channel string) bool { return channel != "unwrapped" }))
		raw := tracetest.ReadyRaw(t, rdb.listen(ctx, "unwrapped", true))

		tracetest.AssertSent(t, client.SPublish(ctx, "unwrapped", "hello"))
		if got := tracetest.NextRaw(t, raw).Payload; got != "hello" {
			t.Errorf("on the wire is %q, want hello", got)
		}
		tracetest.AssertName(t, rec.Spans(t, 1)[0], "spublish unwrapped")
		tracetest.AssertSent(t, client.Publish(ctx, "unwrapped", 7)) // a Ring sends it to a shard without its own hooks
		rec.Spans(t, 2)
		err := rdb.Watch(ctx, func(tx *redis.Tx) error { return client.SPublishTo(ctx, tx, "unwrapped", "watched").Err() }, "unwrapped")
		if got := tracetest.NextRaw(t, raw).Payload; got != "watched" || err != nil {
			t.Errorf("on the wire is %q, %v, want watched", got, err)
		}
		rec.Spans(t, 3)
		if err := client.SPublish(ctx, "wrapped", tracetest.Unsupported{ID: 7}).Err(); err == nil {
			t.Error("a struct was published")
		}
		tracetest.AssertFailed(t, rec.Spans(t, 4)[3], tracetest.PlainErrorType) // and not a second time
		hooking.Spans(t, 0)
		if n := metered.Total(t, tracetest.SentMessages); n != 4 {
			t.Errorf("%d messages were counted, want 4", n)
		}

		// This holds for that message only.
		tracetest.AssertSent(t, rdb.SPublish(ctx, "unwrapped", "hello"))
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", hooking.Spans(t, 1)[0])
	})
}

// A hook that publishes another message with the context that it gets is a publisher like
// any other.
func TestHookAndClientWithoutEnvelopeAndAuditor(t *testing.T) {
	ctx, rec, hooking := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
	server := redistest.Start(t)
	rdb, other := server.Client(), server.Client()
	tracetest.Instrument(t, other, hooking)
	rdb.AddHook(auditing{rdb: other})
	raw := tracetest.ReadyRaw(t, server.Client().Subscribe(ctx, "audit"))
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithEnvelopeFilter(func(string) bool { return false }))
	tracetest.AssertSent(t, client.Publish(ctx, "unwrapped", "hello"))
	audit, publish := hooking.Spans(t, 1)[0], rec.Spans(t, 1)[0]
	tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", audit)
	tracetest.AssertParent(t, audit, publish)
}

// A command may be of a type that cannot be compared.
func TestBatchOfSeveralHooksAndStrangeCommands(t *testing.T) {
	ctx, first, then := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
	rdb := redistest.Start(t).Client()
	raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
	tracetest.Instrument(t, rdb, first)
	tracetest.Instrument(t, rdb, then)
	if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		return pipe.Process(ctx, incomparable{IntCmd: redis.NewIntCmd(ctx, "publish", "reports", tracetest.ForeignEnvelope)})
	}); err != nil {
		t.Fatal(err)
	}
	if got := tracetest.NextRaw(t, raw).Payload; got != tracetest.ForeignEnvelope {
		t.Errorf("on the wire is %q, want %q", got, tracetest.ForeignEnvelope)
	}
	tracetest.AssertLinks(t, first.Spans(t, 1)[0], relayed)
	then.Spans(t, 0)
}

// incomparable is a command of a type that cannot be compared with ==.
type incomparable struct {
	*redis.IntCmd
	_ []string
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestHookOnCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	listen := listenBy(cluster.Client())
	t.Run("one by one", func(t *testing.T) { assertSeenOnce(t, cluster.Client(), listen, func() {}) })
	t.Run("batch over all nodes", func(t *testing.T) { assertOneBatch(t, cluster.Client(), listen) })
	t.Run("redirect", func(t *testing.T) { assertSeenOnceRedirected(t, cluster) })
	t.Run("redirect while a slot moves", func(t *testing.T) { assertSeenOnceWithASK(t, cluster) })
	t.Run("auto-pipelines", func(t *testing.T) { assertSeenOnceInAutoPipelines(t, cluster) })
}

// assertSeenOnceRedirected asserts that a message which nodes redirect with MOVED is
// traced once.
func assertSeenOnceRedirected(t *testing.T, cluster *redistest.Cluster) {
	t.Helper()
	ctx, rec, meters := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
	masters := cluster.Masters()
	for i, p := range severalPublishers {
		if p.name != "client" && p.name != "Pipelined" && p.name != "TxPipelined" {
			continue // within Watch, a transaction fails with its connection
		}
		t.Run(p.name, func(t *testing.T) {
			channel := cluster.ChannelOn(masters[i%len(masters)], p.name)
			rdb, listener := cluster.Client(), cluster.Client()
			sending := &payloadLog{}
			rdb.OnNewNode(func(node *redis.Client) { node.AddHook(sending) })
			tracetest.Instrument(t, rdb, rec, meters.Option())
			if err := rdb.SPublish(ctx, channel, "hello").Err(); err != nil { // caches the owner of the slot
				t.Fatal(err)
			}
			before := len(rec.Ended())
			sending.take()
			cluster.MigrateSlotOf(channel, masters[(i+1)%len(masters)])
			raw := tracetest.ReadyRaw(t, listener.SSubscribe(ctx, channel))

			var cmd *redis.IntCmd
			if err := p.with(ctx, rdb, channel, func(p commander) { cmd = p.SPublish(ctx, channel, "hello") }); err != nil {
				t.Fatal(err)
			}
			if cmd.Val() != 1 || cmd.String() != "spublish "+channel+" hello: 1" {
				t.Errorf("the command is %q, want that of the caller with one receiver", cmd)
			}
			sent := sending.take()
			if len(sent) != 2 || sent[0] != sent[1] || sent[0] == "hello" {
				t.Errorf("the nodes were sent %q, want the same envelope twice", sent)
			}
			spans := rec.Ended()[before:]
			want := 1
			if p.pipeline {
				want = 2
			}
			if len(spans) != want {
				t.Errorf("the spans are %v, want %d", tracetest.Names(spans), want)
			}
			for _, s := range spans {
				tracetest.AssertSucceeded(t, s)
			}
			tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", spans[0])
		})
	}
	meters.AssertMatch(t, rec.Ended())
}

// assertSeenOnceWithASK asserts that a message in a transaction which a node redirects with
// ASK is traced once. A node redirects so if a key is missing while its slot migrates: a
// command that only publishes has no key.
func assertSeenOnceWithASK(t *testing.T, cluster *redistest.Cluster) {
	t.Helper()
	ctx, rec, meters := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
	from, to := cluster.Masters()[0], cluster.Masters()[1]
	channel := cluster.ChannelOn(from, "ask")
	rdb, sending := cluster.Client(), &payloadLog{}
	rdb.OnNewNode(func(node *redis.Client) { node.AddHook(sending) })
	tracetest.Instrument(t, rdb, rec, meters.Option())

	defer cluster.MigrateSlotOf(channel, to) // completes the migration
	setSlot(t, to.Client(), channel, "importing", from.Client())
	setSlot(t, from.Client(), channel, "migrating", to.Client())
	cmds, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, channel, "value", 0)
		pipe.SPublish(ctx, channel, "hello")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := cmds[1].String(); got != "spublish "+channel+" hello: 0" {
		t.Errorf("the command is %q, want that of the caller with no receiver", got)
	}
	sent := sending.take()
	if len(sent) != 2 || sent[0] != sent[1] || cluster.OwnerOf(channel) != from {
		t.Fatalf("the nodes were sent %q, want the same envelope twice, and the same owner of the slot", sent)
	}
	spans := rec.Spans(t, 2)
	for _, s := range spans {
		tracetest.AssertSucceeded(t, s)
	}
	tracetest.AssertCarries(t, &redis.Message{Payload: sent[0]}, "hello", spans[0])
	meters.AssertMatch(t, spans)
}

// setSlot sets the slot of a channel on a node to importing from another node, or to
// migrating there.
func setSlot(t *testing.T, node *redis.Client, channel, how string, other *redis.Client) {
	t.Helper()
	ctx := tracetest.Context(t)
	slot, id := node.ClusterKeySlot(ctx, channel), other.ClusterMyID(ctx)
	if err := node.Do(ctx, "cluster", "setslot", slot.Val(), how, id.Val()).Err(); err != nil {
		t.Fatalf("%v, %v: %v", slot, id, err)
	}
}

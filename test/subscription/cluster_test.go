// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// TestCluster is about a cluster without faults, which its rows share.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for _, tt := range []struct {
		name, reason string
		test         func(t *testing.T, s *clusterSubject)
	}{
		{"channels of all slots", "go-redis delivers none of them", testChannelsOfAllSlots},
		{"added and removed", "there is a connection to a shard while it owns a channel", testAddAndRemoveShards},
		{"one by one", "channels that are added one by one share connections, too", testOneByOne},
		{"all kinds", "sharded channels are spread over the shards, the others are not", testAllKindsOnACluster},
		{"no topics at first", "it connects to one of the nodes", testNoTopicsOnACluster},
		{"spans", "they are those of one server, less its address", testSpansOnACluster},
		{"killed", "go-redis would subscribe to all slots in one command, which the server refuses", testKilledSlots},
		{"named", "all connections have the name, also those that are made later", testNamesOnACluster},
		{"closed", "no connection is left", testCloseOnACluster},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.test(t, c.subject(t))
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
	t.Run("read only", func(t *testing.T) {
		s := c.subject(t, func(o *redis.ClusterOptions) { o.ReadOnly = true })
		channels := c.spread(t, "readonly", 1)
		sub := s.ready(t, s.SSubscribe(tracetest.Context(t), channels...))
		s.assertDelivers(t, sub, 1, channels...)
		s.assertSubscriptions(t, 1, 1, 1)
	})
	t.Run("not reachable at first", func(t *testing.T) { testUnreachableCluster(t, c) })
	t.Run("new server during discovery", func(t *testing.T) { testNewServerDuringDiscovery(t, c) })
	t.Run("automatic pipelines", func(t *testing.T) {
		s := c.subject(t)
		pipeliner, err := s.rdb.AutoPipeline()
		if err != nil {
			t.Fatal(err)
		}
		sub := tracetest.ReadySub(t, tracedpubsub.SSubscribe(tracetest.Context(t), pipeliner, "one"))
		s.assertDelivers(t, sub, 1, "one")
	})
}

func testChannelsOfAllSlots(t *testing.T, s *clusterSubject) {
	var channels []string
	for i := range 300 {
		channels = append(channels, fmt.Sprintf("channel-%d", i))
	}
	ctx := tracetest.Context(t)
	sub := s.ready(t, s.SSubscribe(ctx, channels...))
	s.assertSubscriptions(t, 1, 1, 1)
	published := make(chan error, 1)
	go func() { // more than fit in the buffer
		var errs []error
		for _, channel := range channels {
			errs = append(errs, s.rdb.SPublish(ctx, channel, channel).Err())
		}
		published <- errors.Join(errs...)
	}()
	assertReceivesAll(t, sub, channels...)
	if err := <-published; err != nil {
		t.Errorf("SPUBLISH: %v", err)
	}
}

func testAddAndRemoveShards(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	on := s.cluster.spread(t, "kept", 2)
	sub := s.ready(t, s.SSubscribe(ctx, on[0]))
	s.assertSubscriptions(t, 1)
	if err := sub.SSubscribe(ctx, on[1], on[2], on[3], on[0]); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	s.assertSubscriptions(t, 1, 1)
	s.assertDelivers(t, sub, 1, on[:4]...)

	if err := sub.SUnsubscribe(ctx, on[0], on[1], on[2]); err != nil {
		t.Fatal(err)
	}
	masters := s.cluster.Masters()
	tracetest.Eventually(t, "the connection to a shard ends with its last channel", func() bool {
		return len(s.subscriptions(t, masters[0])) == 0 && s.cluster.shardSubscribers(t, masters[1], on[2]) == 0
	})
	s.assertSubscriptions(t, 0, 1)
	s.assertDelivers(t, sub, 2, on[3])

	if err := sub.SSubscribe(ctx, on[0], on[5]); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	s.assertSubscriptions(t, 1, 1, 1)
	s.assertDelivers(t, sub, 3, on[0], on[3], on[5])
	if err := sub.SUnsubscribe(ctx); err != nil {
		t.Fatal(err)
	}
	tracetest.Eventually(t, "no connection is left", func() bool {
		return !slices.ContainsFunc(masters, func(m *redistest.Server) bool { return len(s.subscriptions(t, m)) > 0 })
	})
	tracetest.WaitReady(t, sub)
	s.reports.AssertNone(t)
}

func testOneByOne(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sub := s.SSubscribe(ctx)
	defer sub.Close()
	var channels []string
	for i := range 30 {
		channels = append(channels, fmt.Sprintf("single-%d", i))
		if err := sub.SSubscribe(ctx, channels[i]); err != nil {
			t.Fatal(err)
		}
	}
	tracetest.WaitReady(t, sub)
	s.assertSubscriptions(t, 1, 1, 1)
	s.assertDelivers(t, sub, 1, channels...)
}

func testAllKindsOnACluster(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sharded := s.cluster.spread(t, "sharded", 1)
	sub := s.SSubscribe(ctx, sharded...)
	if err := errors.Join(sub.Subscribe(ctx, "b", "a"), sub.PSubscribe(ctx, "pattern*")); err != nil {
		t.Fatal(err)
	}
	s.ready(t, sub)
	if got, want := sub.String(), "PubSub(a, b, pattern*, "+strings.Join(slices.Sorted(slices.Values(sharded)), ", ")+")"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if err := sub.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
	for _, channel := range []string{"a", "b", "pattern of any slot"} {
		if err := s.rdb.Publish(ctx, channel, channel).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.publish(t, 1, sharded...)
	want := []string{"a", "b", "pattern of any slot"}
	for _, channel := range sharded {
		want = append(want, channel+" 1")
	}
	assertReceivesAll(t, sub, want...)

	if err := errors.Join(sub.Unsubscribe(ctx), sub.PUnsubscribe(ctx, "pattern*")); err != nil {
		t.Fatal(err)
	}
	if err := sub.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
	s.assertDelivers(t, sub, 2, sharded...)
	s.reports.AssertNone(t)
}

func testNoTopicsOnACluster(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sub := s.SSubscribe(ctx)
	s.ready(t, sub)
	if err := sub.Ping(ctx); err != nil {
		t.Errorf("Ping without a topic: %v", err)
	}
	channels := s.cluster.spread(t, "late", 1)
	if err := sub.SSubscribe(ctx, channels...); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	if err := sub.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
	s.assertDelivers(t, sub, 1, channels...)
}

func testSpansOnACluster(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sub := s.ready(t, s.SSubscribe(ctx, "sharded"))
	if err := sub.Subscribe(ctx, "plain"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	tracetest.AssertSent(t, s.SPublish(ctx, "sharded", "1"))
	_, span := tracetest.NextMessage(t, sub).Start(ctx)
	span.End()
	tracetest.AssertSent(t, s.Publish(ctx, "plain", "2"))
	_, span = tracetest.NextMessage(t, sub).Start(ctx)
	span.End()

	spans := s.spans.Spans(t, 4)
	for i, channel := range []string{"sharded", "plain"} {
		producer, consumer := spans[2*i], spans[2*i+1]
		tracetest.AssertName(t, consumer, "process "+channel)
		tracetest.AssertKind(t, producer, trace.SpanKindProducer)
		tracetest.AssertKind(t, consumer, trace.SpanKindConsumer)
		tracetest.AssertParent(t, consumer, producer)
		tracetest.AssertAttributes(t, consumer, tracetest.Messaging("process", channel)...)
		if address, ok := tracetest.AttributeOf(producer, "server.address"); ok {
			t.Errorf("%q has the server address %v, but a cluster has several", producer.Name(), address.AsString())
		}
	}
	tracetest.AssertName(t, spans[0], "spublish sharded")
	tracetest.AssertName(t, spans[2], "publish plain")
}

func testKilledSlots(t *testing.T, s *clusterSubject) {
	channels := s.cluster.spread(t, "killed", 4)
	sub := s.ready(t, s.SSubscribe(tracetest.Context(t), channels...))
	first := s.cluster.Masters()[0]
	if n := s.kill(t, first); n != 1 {
		t.Fatalf("%d connections to one shard, want 1", n)
	}
	for i, channel := range channels {
		if s.cluster.waitForOwner(t, channel) == first {
			s.reports.Await(t, "receive", channel)
		}
		s.assertDelivers(t, sub, i, channel)
	}
	s.assertSubscriptions(t, 1, 1, 1)
	for _, e := range s.reports.All() {
		if e.Op != "receive" || e.Downtime <= 0 || len(e.Channels) != 4 {
			t.Errorf("reported was %v, want the four channels of one connection that was lost", e.Error())
		}
	}
	tracetest.WaitReady(t, sub)
}

func testCloseOnACluster(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sub := s.ready(t, s.SSubscribe(ctx, s.cluster.spread(t, "closed", 2)...))
	if err := sub.Subscribe(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	tracetest.ReturnsPromptly(t, "Close", func() { _ = sub.Close() })
	if _, ok := <-sub.Channel(); ok {
		t.Error("the channel is not closed")
	}
	for what, err := range map[string]error{
		"Ping": sub.Ping(ctx), "Ready": sub.Ready(ctx),
		"SSubscribe": sub.SSubscribe(ctx, "late"), "SUnsubscribe": sub.SUnsubscribe(ctx),
	} {
		if !errors.Is(err, redis.ErrClosed) {
			t.Errorf("%s of a closed subscription: %v", what, err)
		}
	}
	tracetest.Eventually(t, "no connection is left", func() bool {
		return !slices.ContainsFunc(s.cluster.Nodes(), func(n *redistest.Server) bool { return len(s.subscriptions(t, n)) > 0 })
	})
}

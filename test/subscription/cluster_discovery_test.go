// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// testUnreachableCluster subscribes to a thousand channels while no node can be reached,
// which must not take more dials than one channel.
func testUnreachableCluster(t *testing.T, c *cluster) {
	d := &dials{closed: true}
	s := c.subject(t, func(o *redis.ClusterOptions) {
		o.Dialer, o.DialerRetries, o.MaxRetries = d.dial, 1, -1
	})
	ctx := tracetest.Context(t)
	channels := make([]string, 1000)
	for i := range channels {
		channels[i] = fmt.Sprintf("unreachable-%d", i)
	}
	sub := s.SSubscribe(ctx, channels...)
	t.Cleanup(func() { _ = sub.Close() })
	if n := len(d.all()); n > 30 {
		t.Errorf("%d dials for one attempt", n)
	}
	var err error
	tracetest.ReturnsPromptly(t, "Ready", func() { err = sub.Ready(ctx) })
	e, ok := tracetest.As[*tracedpubsub.SubscriptionError](err)
	if !ok || len(e.Channels) != len(channels) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Ready: %v, want a SubscriptionError about all channels", err)
	}
	if err := sub.Subscribe(ctx, "plain"); err != nil {
		t.Errorf("Subscribe: %v", err)
	}
	s.reports.Await(t, "connect", "plain")
	s.reports.Await(t, "connect", channels[0])
	d.close(false)
	tracetest.EventuallyReady(t, sub)
	s.assertSubscriptionsInAll(t, 4) // one of them is for the channel that is not sharded
	s.assertDelivers(t, sub, 1, channels[:50]...)
	if err := s.rdb.Publish(ctx, "plain", "plain").Err(); err != nil {
		t.Fatal(err)
	}
	tracetest.AssertReceives(t, sub, "plain")
}

// slowDiscovery is a cluster client that returns its nodes when the test says so, and
// does not know one of them.
type slowDiscovery struct {
	*redis.ClusterClient

	unknown string // address of that node
	began   chan struct{}
	answer  chan struct{}
}

func (c *slowDiscovery) ForEachShard(ctx context.Context, fn func(context.Context, *redis.Client) error) error {
	err := c.ClusterClient.ForEachShard(ctx, func(ctx context.Context, shard *redis.Client) error {
		if shard.Options().Addr == c.unknown {
			return nil
		}
		return fn(ctx, shard)
	})
	select {
	case c.began <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// testNewServerDuringDiscovery subscribes on a server while the nodes of the cluster are
// being discovered. The result may be older than the subscription, so the library must
// keep the connection to the server and discover the nodes again at once.
func testNewServerDuringDiscovery(t *testing.T, c *cluster) {
	s := c.subject(t)
	known, late := c.Masters()[0], c.Masters()[1]
	slow := &slowDiscovery{ClusterClient: s.rdb, unknown: late.Addr(), began: make(chan struct{}), answer: make(chan struct{})}
	sub := s.ready(t, tracedpubsub.SSubscribe(tracetest.Context(t), slow, c.ChannelOn(known, "discovery")))
	select {
	case <-slow.began:
	case <-time.After(tracetest.Patience):
		t.Fatal("the nodes are not discovered")
	}
	if err := sub.SSubscribe(tracetest.Context(t), c.ChannelOn(late, "discovery")); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	connections := s.subscriptions(t, late)
	slow.answer <- struct{}{}
	select {
	case <-slow.began:
	case <-time.After(tracetest.Patience / 2): // the regular interval is ten seconds
		t.Error("the nodes are not discovered again")
	}
	if now := s.subscriptions(t, late); len(now) != 1 || !slices.Equal(now, connections) {
		t.Errorf("connections to the server that was not discovered are %q, want %q", now, connections)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// slowToTell is a cluster that takes its time to say which nodes it has, and does not
// know of one.
type slowToTell struct {
	*redis.ClusterClient

	unknown string // its address
	asked   chan struct{}
	tell    chan struct{}
}

func (c *slowToTell) ForEachShard(ctx context.Context, fn func(context.Context, *redis.Client) error) error {
	err := c.ClusterClient.ForEachShard(ctx, func(ctx context.Context, shard *redis.Client) error {
		if shard.Options().Addr == c.unknown {
			return nil
		}
		return fn(ctx, shard)
	})
	select {
	case c.asked <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.tell:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// testAskedAgain is about a server that comes into use while the cluster is being
// asked. The answer may be from before: it says nothing of that server, and the next
// one must not wait.
func testAskedAgain(t *testing.T, c *cluster) {
	s := c.subject(t)
	known, late := c.Masters()[0], c.Masters()[1]
	slow := &slowToTell{ClusterClient: s.rdb, unknown: late.Addr(), asked: make(chan struct{}), tell: make(chan struct{})}
	sub := s.ready(t, tracedpubsub.SSubscribe(tracetest.Context(t), slow, c.ChannelOn(known, "asked")))
	select {
	case <-slow.asked:
	case <-time.After(tracetest.Patience):
		t.Fatal("the cluster is not asked")
	}
	if err := sub.SSubscribe(tracetest.Context(t), c.ChannelOn(late, "asked")); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	connections := s.subscriptions(t, late)
	slow.tell <- struct{}{}
	select {
	case <-slow.asked:
	case <-time.After(tracetest.Patience / 2): // after ten seconds it would be asked anyway
		t.Error("the cluster is not asked again")
	}
	if now := s.subscriptions(t, late); len(now) != 1 || !slices.Equal(now, connections) {
		t.Errorf("connections to the server that the answer did not know are %q, want %q still", now, connections)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// slowToTell is a cluster that takes its time to say which nodes it has.
type slowToTell struct {
	*redis.ClusterClient

	asked chan struct{}
	tell  chan struct{}
}

func (c *slowToTell) ForEachShard(ctx context.Context, fn func(context.Context, *redis.Client) error) error {
	err := c.ClusterClient.ForEachShard(ctx, fn)
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
// asked: the answer may be from before, and the next one must not wait.
func testAskedAgain(t *testing.T, c *cluster) {
	s := c.subject(t)
	slow := &slowToTell{ClusterClient: s.rdb, asked: make(chan struct{}), tell: make(chan struct{})}
	channels := c.spread(t, "asked", 1)
	sub := s.ready(t, tracedpubsub.SSubscribe(testContext(t), slow, channels[0]))
	select {
	case <-slow.asked:
	case <-time.After(patience):
		t.Fatal("the cluster is not asked")
	}
	if err := sub.SSubscribe(testContext(t), channels[1]); err != nil {
		t.Fatal(err)
	}
	mustBeReady(t, sub)
	slow.tell <- struct{}{}
	select {
	case <-slow.asked:
	case <-time.After(patience / 2): // after ten seconds it would be asked anyway
		t.Error("the cluster is not asked again")
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// TestClusterFaults does one fault after the other to a cluster. Those that masters vote
// on come first: the migration of a slot is not voted on, and disturbs the epochs that
// votes depend on.
func TestClusterFaults(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for _, tt := range []struct {
		name, reason string
		test         func(t *testing.T, s *clusterSubject)
	}{
		{"a master is killed", "its replica takes over, after a while", testKilledMaster},
		{"failover", "the master becomes a replica, which still delivers messages", testFailover},
		{"a slot is migrated", "the server unsubscribes the channel, which go-redis ignores", testMigratedSlot},
		{"a slot is migrated while messages come", "none is received twice, and their order holds", testLiveMigration},
		{"a slot was migrated", "the client does not know yet, and subscribes on the wrong server", testMovedSlot},
		{"a slot was migrated, and the topic is removed", "the topic is removed before the wrong server has replied", testMovedAndRemoved},
		{"all slots of a connection are migrated", "no channel is left on it", testLastSlotMigrated},
		{"a topic is removed as its slot is migrated", "the old owner does not confirm it", testUnsubscribeMigrated},
		{"a master is removed", "it still runs, but is not in the cluster any more", testRemovedMaster},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.test(t, c.subject(t))
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

// others returns the masters except for one.
func (c *cluster) others(than *redistest.Server) []*redistest.Server {
	return slices.DeleteFunc(c.Masters(), func(m *redistest.Server) bool { return m == than })
}

func testMigratedSlot(t *testing.T, s *clusterSubject) {
	channels := s.cluster.spread(t, "migrated", 2)
	moving := channels[0]
	sub := s.ready(t, s.SSubscribe(tracetest.Context(t), channels...))
	from := s.cluster.OwnerOf(moving)
	for _, to := range s.cluster.others(from) { // to one and then to the next
		s.cluster.MigrateSlotOf(moving, to)
		if got := s.cluster.waitForOwner(t, moving); got != to {
			t.Fatalf("the owner is %s, want %s", got.Addr(), to.Addr())
		}
		tracetest.WaitReady(t, sub)
		s.assertDelivers(t, sub, 1, channels...)
		s.assertSubscriptions(t, 1, 1, 1)
	}
	// If the client knows the new owner too late, the refusal of a wrong one is the cause.
	// The downtime begins when the old owner unsubscribed the channel.
	for _, got := range s.reports.WaitUntil(t, "the outage of one channel", func(got []tracetest.Report) bool { return len(got) > 0 }) {
		if !strings.HasSuffix(got.Op, "subscribe") || got.Downtime <= 0 || got.Err == nil || !slices.Equal(got.Channels, []string{moving}) {
			t.Errorf("reported was %v, want a short outage of one channel", got.Error())
		}
	}
}

func testLiveMigration(t *testing.T, s *clusterSubject) {
	const messages = 400
	ctx := tracetest.Context(t)
	masters := s.cluster.Masters()
	moving := s.cluster.ChannelOn(masters[0], "live")
	sub := s.ready(t, s.SSubscribe(ctx, moving))
	var publishing, receiving sync.WaitGroup
	midway := make(chan struct{})
	publishing.Go(func() {
		for i := range messages {
			if i == messages/4 {
				close(midway)
			}
			_ = s.rdb.SPublish(ctx, moving, fmt.Sprintf("%04d", i)).Err() // some fail during the migration
		}
	})
	var got []string
	receiving.Go(func() {
		for m, err := sub.ReceiveMessage(ctx); err == nil && m.Payload != "last"; m, err = sub.ReceiveMessage(ctx) {
			got = append(got, m.Payload)
		}
	})
	<-midway
	s.cluster.MigrateSlotOf(moving, masters[1])
	s.cluster.waitForOwner(t, moving)
	publishing.Wait()
	tracetest.AssertSent(t, s.rdb.SPublish(ctx, moving, "last"))
	receiving.Wait()
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("got %q: not in order, or twice", got)
	}
	if len(got) < messages/4 {
		t.Errorf("got %d messages, but the slot moved after %d", len(got), messages/4)
	}
}

func testMovedSlot(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	moving := s.cluster.ChannelOn(s.cluster.Masters()[0], "moved")
	from, to := s.cluster.OwnerOf(moving), s.cluster.Masters()[1]
	if _, err := s.rdb.MasterForKey(ctx, moving); err != nil { // caches the slot, which is out of date after the migration
		t.Fatal(err)
	}
	s.cluster.MigrateSlotOf(moving, to)
	sub := s.ready(t, s.SSubscribe(ctx, moving))
	if got := s.cluster.waitForOwner(t, moving); got != to {
		t.Fatalf("the owner is %s, want %s", got.Addr(), to.Addr())
	}
	s.assertDelivers(t, sub, 1, moving)
	tracetest.Eventually(t, "the connection to the wrong server ends", func() bool { return len(s.subscriptions(t, from)) == 0 })
}

func testMovedAndRemoved(t *testing.T, s *clusterSubject) {
	ctx, masters := tracetest.Context(t), s.cluster.Masters()
	moving, kept := s.cluster.ChannelOn(masters[0], "unwanted"), s.cluster.ChannelOn(masters[0], "wanted")
	_, _ = s.rdb.MasterForKey(ctx, moving) // caches the slot
	s.cluster.MigrateSlotOf(moving, masters[1])
	sub := s.SSubscribe(ctx, moving)
	defer sub.Close()
	if err := errors.Join(sub.SUnsubscribe(ctx, moving), sub.SSubscribe(ctx, kept)); err != nil {
		t.Fatal(err)
	}
	s.cluster.waitForOwner(t, kept)
	s.assertDelivers(t, sub, 1, kept) // begins to read
	s.reports.AssertNone(t)
}

func testLastSlotMigrated(t *testing.T, s *clusterSubject) {
	master := s.cluster.Masters()[0]
	moving := []string{s.cluster.ChannelOn(master, "last-a"), s.cluster.ChannelOn(master, "last-b")}
	sub := s.ready(t, s.SSubscribe(tracetest.Context(t), moving...))
	for _, channel := range moving {
		s.cluster.MigrateSlotOf(channel, s.cluster.Masters()[1])
	}
	for _, channel := range moving {
		s.cluster.waitForOwner(t, channel)
	}
	s.assertDelivers(t, sub, 1, moving...)
	tracetest.Eventually(t, "no connection to the old owner is left", func() bool { return len(s.subscriptions(t, master)) == 0 })
}

func testUnsubscribeMigrated(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	masters := s.cluster.Masters()
	kept := s.cluster.ChannelOn(masters[0], "kept")
	sub := s.ready(t, s.SSubscribe(ctx, kept))
	for i := range 3 {
		moving := s.cluster.ChannelOn(masters[0], fmt.Sprintf("gone-%d-", i))
		if err := sub.SSubscribe(ctx, moving); err != nil {
			t.Fatal(err)
		}
		tracetest.WaitReady(t, sub)
		removed := make(chan error, 1)
		go func() { removed <- sub.SUnsubscribe(ctx, moving) }()
		s.cluster.MigrateSlotOf(moving, masters[1])
		if err := <-removed; err != nil {
			t.Fatal(err)
		}
		s.cluster.waitForOwner(t, kept)
		tracetest.WaitReady(t, sub)
		s.publish(t, i, moving)
		s.assertDelivers(t, sub, i, kept)
	}
	if got, want := sub.String(), "PubSub("+kept+")"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func testFailover(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	channels := s.cluster.spread(t, "failover", 2)
	sub := s.ready(t, s.SSubscribe(ctx, channels...))
	master := s.cluster.OwnerOf(channels[0])
	s.cluster.Failover(s.cluster.ReplicaOf(master))
	s.assertDelivers(t, sub, 1, channels...) // from either node
	promoted := s.cluster.OwnerOf(channels[0])
	added := s.cluster.ChannelOn(promoted, "added")
	if err := sub.SSubscribe(ctx, added); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	// A replica delivers what is published on its master. The nodes of the cluster are
	// discovered every ten seconds.
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the new master has a subscription, and the replica has none", func() bool {
		return len(s.subscriptions(t, promoted)) > 0 && len(s.subscriptions(t, master)) == 0
	})
	for i, channel := range append(channels, added) {
		s.cluster.waitForOwner(t, channel)
		s.assertDelivers(t, sub, i, channel)
	}
	s.assertSubscriptions(t, 1, 1, 1)
	s.cluster.Failover(master)
}

func testKilledMaster(t *testing.T, s *clusterSubject) {
	sub, node, sharded := s.pinned(t)
	onIt := s.cluster.ChannelOn(node, "pinned-a-")
	s.cluster.KillMasterOf(onIt)
	s.waitForPlainElsewhere(t, node)
	s.assertPlain(t, sub)
	for i, channel := range sharded {
		s.cluster.waitForOwner(t, channel)
		s.assertDelivers(t, sub, i, channel)
	}
	s.reports.Await(t, "receive", onIt)
	s.reports.Await(t, "receive", "plain")
	tracetest.WaitReady(t, sub)
	node.Restart()
	s.cluster.WaitUntilHealthy()
}

func testRemovedMaster(t *testing.T, s *clusterSubject) {
	redistest.Long(t)
	sub, node, sharded := s.pinned(t)
	s.cluster.Remove(node)
	// The nodes of the cluster are discovered every ten seconds.
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the node has no subscription any more", func() bool { return len(s.subscriptions(t, node)) == 0 })
	s.waitForPlainElsewhere(t, node)
	s.assertPlain(t, sub)
	for i, channel := range sharded {
		s.cluster.waitForOwner(t, channel)
		s.assertDelivers(t, sub, i, channel)
	}
	tracetest.WaitReady(t, sub)
	s.reports.AwaitRecovery(t, "pattern*", "plain")
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

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

// TestClusterFaults is what befalls a cluster, one thing after the other. What
// masters vote on comes first: a slot that is migrated is not voted on, and what
// the nodes count their votes by gets mixed up.
func TestClusterFaults(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for _, tt := range []struct {
		name, reason string
		test         func(t *testing.T, s *clusterSubject)
	}{
		{"a master is killed", "its replica takes over, after a while", testKilledMaster},
		{"failover", "the master becomes a replica, which goes on talking", testFailover},
		{"a slot is migrated", "the server says so, and go-redis nothing", testMigratedSlot},
		{"a slot is migrated while messages come", "none comes twice, and their order holds", testLiveMigration},
		{"a slot was migrated", "the client does not know yet, and asks the wrong server", testMovedSlot},
		{"a slot was migrated, and nobody cares", "the name is taken out before the wrong server has answered", testMovedAndUnwanted},
		{"all slots of a connection are migrated", "nothing is left on it", testLastSlotMigrated},
		{"a name is taken out as its slot is migrated", "the old owner knows nothing of it", testUnsubscribeMigrated},
		{"a master is removed", "it goes on talking, but nobody listens", testRemovedMaster},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.test(t, c.subject(t))
			if t.Failed() {
				t.Logf("this row is here because: %s", tt.reason)
			}
		})
	}
}

// others returns the masters other than one.
func (c *cluster) others(than *redistest.Server) []*redistest.Server {
	return slices.DeleteFunc(c.Masters(), func(m *redistest.Server) bool { return m == than })
}

func testMigratedSlot(t *testing.T, s *clusterSubject) {
	channels := s.cluster.spread(t, "migrated", 2)
	moving := channels[0]
	sub := s.ready(t, s.SSubscribe(tracetest.Context(t), channels...))
	from := s.cluster.OwnerOf(moving)
	for _, to := range s.cluster.others(from) { // there, and further
		s.cluster.MigrateSlotOf(moving, to)
		if got := s.cluster.waitForOwner(t, moving); got != to {
			t.Fatalf("the owner is %s, want %s", got.Addr(), to.Addr())
		}
		tracetest.WaitReady(t, sub)
		s.assertHears(t, sub, 1, channels...)
		s.assertSubscriptions(t, 1, 1, 1)
	}
	// Where the client knows the new owner too late, that one's refusal is the
	// cause; the time counts from when the old one went.
	for _, got := range s.reports.WaitUntil(t, "that one channel was deaf", func(got []tracetest.Report) bool { return len(got) > 0 }) {
		if !strings.HasSuffix(got.Op, "subscribe") || got.Downtime <= 0 || got.Err == nil || !slices.Equal(got.Channels, []string{moving}) {
			t.Errorf("reported was %v, want that one channel was deaf for a moment", got.Error())
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
			_ = s.rdb.SPublish(ctx, moving, fmt.Sprintf("%04d", i)).Err() // some fail, for a moment
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
	if _, err := s.rdb.MasterForKey(ctx, moving); err != nil { // and what it knows is soon out of date
		t.Fatal(err)
	}
	s.cluster.MigrateSlotOf(moving, to)
	sub := s.ready(t, s.SSubscribe(ctx, moving))
	if got := s.cluster.waitForOwner(t, moving); got != to {
		t.Fatalf("the owner is %s, want %s", got.Addr(), to.Addr())
	}
	s.assertHears(t, sub, 1, moving)
	tracetest.Eventually(t, "the connection to the wrong server ends", func() bool { return len(s.subscriptions(t, from)) == 0 })
}

func testMovedAndUnwanted(t *testing.T, s *clusterSubject) {
	ctx, masters := tracetest.Context(t), s.cluster.Masters()
	moving, kept := s.cluster.ChannelOn(masters[0], "unwanted"), s.cluster.ChannelOn(masters[0], "wanted")
	_, _ = s.rdb.MasterForKey(ctx, moving) // and what it knows is soon out of date
	s.cluster.MigrateSlotOf(moving, masters[1])
	sub := s.SSubscribe(ctx, moving)
	defer sub.Close()
	if err := errors.Join(sub.SUnsubscribe(ctx, moving), sub.SSubscribe(ctx, kept)); err != nil {
		t.Fatal(err)
	}
	s.cluster.waitForOwner(t, kept)
	s.assertHears(t, sub, 1, kept) // nothing was read before
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
	s.assertHears(t, sub, 1, moving...)
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
		s.send(t, i, moving)
		s.assertHears(t, sub, i, kept)
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
	s.assertHears(t, sub, 1, channels...) // from whoever
	promoted := s.cluster.OwnerOf(channels[0])
	added := s.cluster.ChannelOn(promoted, "added")
	if err := sub.SSubscribe(ctx, added); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	// A replica delivers what is published at its master, and says nothing: the
	// cluster is asked every ten seconds.
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the new master is listened to, and the replica is not", func() bool {
		return len(s.subscriptions(t, promoted)) > 0 && len(s.subscriptions(t, master)) == 0
	})
	for i, channel := range append(channels, added) {
		s.cluster.waitForOwner(t, channel)
		s.assertHears(t, sub, i, channel)
	}
	s.assertSubscriptions(t, 1, 1, 1)
	s.cluster.Failover(master)
}

func testKilledMaster(t *testing.T, s *clusterSubject) {
	sub, node, sharded := s.pinned(t)
	onIt := s.cluster.ChannelOn(node, "pinned-a-")
	s.cluster.KillMasterOf(onIt)
	s.waitForPlain(t, node)
	s.assertPlain(t, sub)
	for i, channel := range sharded {
		s.cluster.waitForOwner(t, channel)
		s.assertHears(t, sub, i, channel)
	}
	s.reports.WaitFor(t, "receive", onIt)
	s.reports.WaitFor(t, "receive", "plain")
	tracetest.WaitReady(t, sub)
	node.Restart()
	s.cluster.WaitUntilHealthy()
}

func testRemovedMaster(t *testing.T, s *clusterSubject) {
	sub, node, sharded := s.pinned(t)
	s.cluster.Remove(node)
	// The cluster is asked every ten seconds.
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the node is left", func() bool { return len(s.subscriptions(t, node)) == 0 })
	s.waitForPlain(t, node)
	s.assertPlain(t, sub)
	for i, channel := range sharded {
		s.cluster.waitForOwner(t, channel)
		s.assertHears(t, sub, i, channel)
	}
	tracetest.WaitReady(t, sub)
	if got := s.reports.WaitFor(t, "receive", "plain"); !slices.Equal(got.Channels, []string{"pattern*", "plain"}) {
		t.Errorf("reported was %v", got.Error())
	}
}

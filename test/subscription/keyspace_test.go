// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"slices"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// startNotifyingCluster starts a cluster that sends all keyspace notifications.
func startNotifyingCluster(t *testing.T) *cluster {
	t.Helper()
	return startCluster(t, "--notify-keyspace-events", "KEA")
}

// TestKeyspaceNotifications is about a cluster without faults, which its rows share.
func TestKeyspaceNotifications(t *testing.T) {
	t.Parallel()
	c := startNotifyingCluster(t)
	for _, tt := range []struct {
		name, reason string
		test         func(t *testing.T, s *clusterSubject)
	}{
		{"a channel", "the events of one kind come from all masters", testKeyeventChannel},
		{"a pattern", "the events of each key come from its own master", testKeyspacePattern},
		{"a pattern that matches other channels", "other messages are forwarded to all masters", testLoosePattern},
		{"go-redis", "it is why the topics are on all masters", testKeyspaceOfGoRedis},
		{"an ordinary pattern", "it stays on one node", testPatternOfAllChannels},
		{"published by hand", "nodes forward it to each other, and it looks like a notification", testPublishedNotification},
		{"all kinds", "they share connections, but for ordinary topics", testKeyspaceAndOthers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.test(t, c.subject(t))
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

// keys returns one key of each master.
func (c *cluster) keys(t *testing.T, prefix string) []string {
	t.Helper()
	return c.spread(t, prefix, 1)
}

// set sets keys.
func (s *clusterSubject) set(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := s.rdb.Set(t.Context(), key, "value", 0).Err(); err != nil {
			t.Fatalf("SET %s: %v", key, err)
		}
	}
}

// assertNotified sets the keys, and then one key of each master, whose event is the last from
// there. It asserts that sub receives the event of each once, on the channel that channelOf
// returns, and nothing else.
func (s *clusterSubject) assertNotified(t *testing.T, sub *tracedpubsub.PubSub, channelOf func(key string) (channel, payload string), keys ...string) {
	t.Helper()
	keys = slices.Concat(keys, s.cluster.keys(t, "last"))
	s.set(t, keys...)
	var want []string
	for _, key := range keys {
		channel, payload := channelOf(key)
		want = append(want, channel+" "+payload)
	}
	assertReceivesTexts(t, sub, want, func(m *tracedpubsub.Message) string { return m.Channel + " " + m.Payload })
}

// assertReceivesTexts asserts that the next messages have the given texts, in any order.
func assertReceivesTexts(t *testing.T, sub *tracedpubsub.PubSub, want []string, text func(*tracedpubsub.Message) string) {
	t.Helper()
	var got []string
	for range want {
		got = append(got, text(tracetest.NextMessage(t, sub)))
	}
	slices.Sort(got)
	if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func keyevent(key string) (channel, payload string) { return "__keyevent@0__:set", key }
func keyspace(key string) (channel, payload string) { return "__keyspace@0__:" + key, "set" }

func testKeyeventChannel(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sub := s.ready(t, s.Subscribe(ctx, "__keyevent@0__:set"))
	s.assertSubscriptions(t, 1, 1, 1)
	if got, want := sub.String(), "PubSub(__keyevent@0__:set)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	keys := s.cluster.spread(t, "event", 5)
	s.assertNotified(t, sub, keyevent, keys...)
	s.assertNotified(t, sub, keyevent, keys...)
	if err := sub.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
	if err := sub.Unsubscribe(ctx, "__keyevent@0__:set"); err != nil {
		t.Fatal(err)
	}
	tracetest.Eventually(t, "no connection is left", func() bool {
		return !slices.ContainsFunc(s.cluster.Nodes(), func(n *redistest.Server) bool { return len(s.subscriptions(t, n)) > 0 })
	})
	tracetest.WaitReady(t, sub)
	s.reports.AssertNone(t)
}

func testKeyspacePattern(t *testing.T, s *clusterSubject) {
	sub := s.ready(t, s.PSubscribe(tracetest.Context(t), "__keyspace@0__:*"))
	s.assertSubscriptions(t, 1, 1, 1)
	s.assertNotified(t, sub, keyspace, s.cluster.spread(t, "space", 5)...)
	s.reports.AssertNone(t)
}

// The documentation of Redis has this pattern.
func testLoosePattern(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sub := s.ready(t, s.PSubscribe(ctx, "__key*__:*"))
	if got, want := sub.String(), "PubSub(__key*__:*)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	for i := range 5 {
		tracetest.AssertSent(t, s.rdb.Publish(ctx, "__keyboard__:a", i))
		keys := s.cluster.keys(t, "loose")
		s.set(t, keys...)
		want := []string{"__keyboard__:a"}
		for _, key := range keys {
			want = append(want, "__keyspace@0__:"+key, "__keyevent@0__:set")
		}
		assertReceivesTexts(t, sub, want, func(m *tracedpubsub.Message) string { return m.Channel })
	}
	s.reports.AssertNone(t)
}

func testKeyspaceOfGoRedis(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sub := s.rdb.PSubscribe(ctx, "__keyspace@0__:raw-*")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	keys := s.cluster.keys(t, "raw")
	s.set(t, keys...)
	first := tracetest.NextRaw(t, sub)
	s.set(t, keys...)
	if second := tracetest.NextRaw(t, sub); second.Channel != first.Channel {
		t.Errorf("received %s and %s, want the events of one master only: the documentation says so", first.Channel, second.Channel)
	}
}

func testPatternOfAllChannels(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	for _, pattern := range []string{"*", "__*", "__keyfoo*", "__key", `\__key*`} {
		sub := s.PSubscribe(ctx, pattern)
		tracetest.WaitReady(t, sub)
		s.assertSubscriptionsInAll(t, 1)
		_ = sub.Close()
		tracetest.Eventually(t, "no connection is left", func() bool { return s.countSubscriptions(t) == 0 })
	}
	sub := s.ready(t, s.PSubscribe(ctx, "[a_]*"))
	for _, channel := range []string{"a", "_", "a"} {
		tracetest.AssertSent(t, s.rdb.Publish(ctx, channel, channel))
		tracetest.AssertReceives(t, sub, channel)
	}
}

// countSubscriptions returns how many connections to all nodes have subscriptions.
func (s *clusterSubject) countSubscriptions(t *testing.T) (n int) {
	t.Helper()
	for _, node := range s.cluster.Nodes() {
		n += len(s.subscriptions(t, node))
	}
	return n
}

func testPublishedNotification(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sub := s.ready(t, s.Subscribe(ctx, "__keyspace@0__:by hand"))
	tracetest.AssertSent(t, s.rdb.Publish(ctx, "__keyspace@0__:by hand", "one"))
	tracetest.AssertReceives(t, sub, "one", "one", "one")
}

func testKeyspaceAndOthers(t *testing.T, s *clusterSubject) {
	ctx := tracetest.Context(t)
	sharded := s.cluster.spread(t, "sharded", 2)
	sub := s.ready(t, s.Subscribe(ctx, "plain", "__keyevent@0__:set", "__keyevent@0__:del"))
	if err := errors.Join(sub.PSubscribe(ctx, "pattern*"), sub.SSubscribe(ctx, sharded...)); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	s.assertSubscriptionsInAll(t, 4)
	s.assertPlain(t, sub)
	s.assertDelivers(t, sub, 1, sharded...)
	s.assertNotified(t, sub, keyevent, s.cluster.keys(t, "mixed")...)

	if err := sub.Unsubscribe(ctx, "__keyevent@0__:set", "__keyevent@0__:del", "plain"); err != nil {
		t.Fatal(err)
	}
	s.assertDelivers(t, sub, 2, sharded...)
	if err := sub.SUnsubscribe(ctx); err != nil {
		t.Fatal(err)
	}
	if err := sub.Subscribe(ctx, "__keyevent@0__:set"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	s.assertNotified(t, sub, keyevent, s.cluster.keys(t, "again")...)
	s.reports.AssertNone(t)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// cluster is a cluster with a client of each node.
type cluster struct {
	*redistest.Cluster

	mu     sync.Mutex
	admins map[*redistest.Server]*redis.Client
}

func startCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	return &cluster{Cluster: redistest.StartCluster(t, args...), admins: make(map[*redistest.Server]*redis.Client)}
}

// admin returns a client of one node.
func (c *cluster) admin(node *redistest.Server) *redis.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.admins[node] == nil {
		c.admins[node] = node.Client()
	}
	return c.admins[node]
}

// spread returns n channels for each master, with names that begin with prefix.
func (c *cluster) spread(t *testing.T, prefix string, n int) (channels []string) {
	t.Helper()
	for _, master := range c.Masters() {
		for i := range n {
			channels = append(channels, c.ChannelOn(master, fmt.Sprintf("%s-%c-", prefix, 'a'+i)))
		}
	}
	return channels
}

// shardSubscribers returns how many connections of a node are subscribed to a sharded
// channel.
func (c *cluster) shardSubscribers(t *testing.T, node *redistest.Server, channel string) int64 {
	t.Helper()
	n, err := c.admin(node).PubSubShardNumSub(t.Context(), channel).Result()
	if err != nil {
		t.Fatalf("PUBSUB SHARDNUMSUB: %v", err)
	}
	return n[channel]
}

// waitForOwner waits until one connection is subscribed to a sharded channel on its
// owner, and returns the owner.
func (c *cluster) waitForOwner(t *testing.T, channel string) *redistest.Server {
	t.Helper()
	owner := c.OwnerOf(channel)
	tracetest.Eventually(t, "one connection is subscribed to "+channel+" on its owner", func() bool {
		return c.shardSubscribers(t, owner, channel) == 1
	})
	return owner
}

// clusterSubject is a client of a cluster under test.
type clusterSubject struct {
	*tracedpubsub.Client

	cluster *cluster
	rdb     *redis.ClusterClient
	name    string // of its connections in CLIENT LIST
	reports *tracetest.ReportLog
	spans   *tracetest.Recorder
}

func (c *cluster) subject(t *testing.T, options ...func(*redis.ClusterOptions)) *clusterSubject {
	t.Helper()
	s := &clusterSubject{cluster: c, name: t.Name(), reports: tracetest.NewReportLog(), spans: tracetest.NewRecorder(t)}
	s.rdb = c.Client(append([]func(*redis.ClusterOptions){
		func(o *redis.ClusterOptions) { o.ClientName = s.name },
	}, options...)...)
	s.Client = tracedpubsub.Wrap(s.rdb, tracedpubsub.WithTracerProvider(s.spans), tracedpubsub.WithErrorHandler(s.reports.Handle))
	t.Cleanup(func() {
		_ = s.rdb.Close()
		s.spans.AssertAllEnded(t)
	})
	return s
}

// ready waits until the servers have confirmed sub, and closes it with the test.
func (s *clusterSubject) ready(t *testing.T, sub *tracedpubsub.PubSub) *tracedpubsub.PubSub {
	t.Helper()
	t.Cleanup(func() { _ = sub.Close() })
	tracetest.WaitReady(t, sub)
	return sub
}

// subscriptions returns the ids of the connections of the subject to a node that have
// subscriptions.
func (s *clusterSubject) subscriptions(t *testing.T, node *redistest.Server) (ids []string) {
	t.Helper()
	list, err := s.cluster.admin(node).Do(t.Context(), "client", "list", "type", "pubsub").Text()
	if err != nil {
		t.Fatalf("CLIENT LIST: %v", err)
	}
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if slices.Contains(fields, "name="+s.name) {
			ids = append(ids, strings.TrimPrefix(fields[0], "id="))
		}
	}
	return ids
}

// assertSubscriptions asserts how many connections have subscriptions on each master, and
// that no replica has any.
func (s *clusterSubject) assertSubscriptions(t *testing.T, want ...int) {
	t.Helper()
	masters := s.cluster.Masters()
	for i, node := range slices.Concat(masters, s.replicas()) {
		n := 0
		if i < len(want) {
			n = want[i]
		}
		if got := len(s.subscriptions(t, node)); got != n {
			t.Errorf("%d connections have subscriptions on node %d of %d masters and their replicas, want %d", got, i, len(masters), n)
		}
	}
}

// assertSubscriptionsInAll asserts how many connections to all masters have
// subscriptions.
func (s *clusterSubject) assertSubscriptionsInAll(t *testing.T, want int) {
	t.Helper()
	n := 0
	for _, node := range s.cluster.Masters() {
		n += len(s.subscriptions(t, node))
	}
	if n != want {
		t.Errorf("%d connections have subscriptions, want %d", n, want)
	}
}

func (s *clusterSubject) replicas() []*redistest.Server {
	masters := s.cluster.Masters()
	return slices.DeleteFunc(s.cluster.Nodes(), func(n *redistest.Server) bool { return slices.Contains(masters, n) })
}

// kill ends the connections with subscriptions to a node, and returns how many.
func (s *clusterSubject) kill(t *testing.T, node *redistest.Server) int {
	t.Helper()
	ids := s.subscriptions(t, node)
	for _, id := range ids {
		if err := s.cluster.admin(node).ClientKillByFilter(t.Context(), "ID", id).Err(); err != nil {
			t.Fatalf("CLIENT KILL: %v", err)
		}
	}
	return len(ids)
}

// publish publishes the name of the channel and a number on each sharded channel.
func (s *clusterSubject) publish(t *testing.T, number int, channels ...string) {
	t.Helper()
	for _, channel := range channels {
		if err := s.rdb.SPublish(t.Context(), channel, fmt.Sprintf("%s %d", channel, number)).Err(); err != nil {
			t.Fatalf("SPUBLISH %s: %v", channel, err)
		}
	}
}

// assertDelivers publishes a message with a number on each sharded channel, and asserts
// that sub receives each of them once, and nothing else.
func (s *clusterSubject) assertDelivers(t *testing.T, sub *tracedpubsub.PubSub, number int, channels ...string) {
	t.Helper()
	s.publish(t, number, channels...)
	var want []string
	for _, channel := range channels {
		want = append(want, fmt.Sprintf("%s %d", channel, number))
	}
	assertReceivesAll(t, sub, want...)
}

// nodeOfPlain returns the node that has the topics which are not sharded.
func (s *clusterSubject) nodeOfPlain(t *testing.T) *redistest.Server {
	t.Helper()
	for _, node := range s.cluster.Nodes() {
		if len(s.subscriptions(t, node)) > 0 {
			return node
		}
	}
	t.Fatal("no node has subscriptions")
	return nil
}

// pinned returns a subscription to a channel, a pattern and sharded channels of every
// master, and the node that has the former two.
func (s *clusterSubject) pinned(t *testing.T) (sub *tracedpubsub.PubSub, node *redistest.Server, sharded []string) {
	t.Helper()
	ctx := tracetest.Context(t)
	sub = s.Subscribe(ctx, "plain")
	if err := sub.PSubscribe(ctx, "pattern*"); err != nil {
		t.Fatal(err)
	}
	s.ready(t, sub)
	node = s.nodeOfPlain(t)
	sharded = s.cluster.spread(t, "pinned", 2)
	if err := sub.SSubscribe(ctx, sharded...); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	s.assertPlain(t, sub)
	s.assertDelivers(t, sub, 0, sharded...)
	return sub, node, sharded
}

// assertPlain asserts that a subscription of pinned receives what is not sharded.
func (s *clusterSubject) assertPlain(t *testing.T, sub *tracedpubsub.PubSub) {
	t.Helper()
	for _, channel := range []string{"plain", "pattern of any slot"} {
		// A client that has just asked a node for the slots that was removed cannot publish yet.
		tracetest.Eventually(t, "the client can publish", func() bool { return s.rdb.Publish(t.Context(), channel, channel).Err() == nil })
		tracetest.AssertReceives(t, sub, channel)
	}
}

// waitForPlainElsewhere waits until the topics of pinned that are not sharded are
// subscribed to on another node than the given one.
func (s *clusterSubject) waitForPlainElsewhere(t *testing.T, without *redistest.Server) {
	t.Helper()
	tracetest.Eventually(t, "another node has the subscription", func() bool {
		for _, node := range s.cluster.Nodes() {
			if node == without {
				continue
			}
			if s.cluster.admin(node).PubSubNumPat(t.Context()).Val() > 0 && tracetest.Subscribers(t, s.cluster.admin(node), "plain") > 0 {
				return true
			}
		}
		return false
	})
}

// assertReceivesAll asserts that the next messages are the given ones, in any
// order.
func assertReceivesAll(t *testing.T, sub *tracedpubsub.PubSub, payloads ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), tracetest.Patience)
	defer cancel()
	var got []string
	for range payloads {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			break
		}
		got = append(got, m.Payload)
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(payloads))
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

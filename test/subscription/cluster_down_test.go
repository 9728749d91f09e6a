// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A slot without an owner makes all nodes report that the cluster is down. They pass messages on
// all the same, so a subscription stays where it is.
func TestAClusterThatIsNotCovered(t *testing.T) {
	t.Parallel()
	redistest.Long(t)
	c := &cluster{
		Cluster: redistest.StartCluster(t, "--cluster-require-full-coverage", "yes", "--cluster-replica-no-failover", "yes"),
		admins:  make(map[*redistest.Server]*redis.Client),
	}
	s := c.subject(t)
	sub := s.ready(t, s.Subscribe(tracetest.Context(t), "a"))
	node := s.nodeOfPlain(t)
	for _, master := range c.Masters() {
		if master != node {
			master.Kill()
			c.WaitUntilDown(node)
			break
		}
	}
	asked := c.infoCalls(t, node)
	// The first question may have begun before the cluster was down.
	tracetest.EventuallyWithin(t, 3*tracetest.Patience, "the node was asked twice", func() bool { return c.infoCalls(t, node) >= asked+2 })
	for _, other := range c.Nodes() {
		if other == node {
			continue
		}
		if err := c.admin(other).Publish(t.Context(), "a", "still there").Err(); err == nil {
			break
		}
	}
	assertReceivesAll(t, sub, "still there")
	s.reports.AssertNone(t)
}

var infoCalls = regexp.MustCompile(`cmdstat_cluster\|info:calls=(\d+)`)

// infoCalls returns how often a node has answered CLUSTER INFO.
func (c *cluster) infoCalls(t *testing.T, node *redistest.Server) int {
	t.Helper()
	stats, err := c.admin(node).Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatalf("INFO: %v", err)
	}
	found := infoCalls.FindStringSubmatch(stats)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

// go-redis asks a cluster for its slots before the first command, and ignores the context
// where a function of the user hangs. Callers must not wait for it.
func TestAHangingOnConnectBeforeTheSlotsAreKnown(t *testing.T) {
	server, _ := tracetest.StartServer(t, "--cluster-enabled", "yes")
	released := make(chan struct{})
	defer close(released)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:     []string{server.Addr()},
		OnConnect: func(context.Context, *redis.Conn) error { <-released; return nil },
	})
	defer func() { _ = rdb.Close() }()
	ctx, cancel := context.WithTimeout(tracetest.Context(t), 100*time.Millisecond)
	defer cancel()
	var sub *tracedpubsub.PubSub
	for name, subscribe := range map[string]func(context.Context, tracedpubsub.Subscriber, ...string) *tracedpubsub.PubSub{
		"Subscribe": tracedpubsub.Subscribe, "SSubscribe": tracedpubsub.SSubscribe,
	} {
		tracetest.ReturnsPromptly(t, name, func() { sub = subscribe(ctx, rdb, "a") })
		tracetest.ReturnsPromptly(t, "Ready", func() { _ = sub.Ready(ctx) })
		tracetest.ReturnsPromptly(t, "Subscribe again", func() { _ = sub.Subscribe(ctx, "b") })
		tracetest.ReturnsPromptly(t, "Close", func() { _ = sub.Close() })
	}
}

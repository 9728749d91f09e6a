// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// newSentinelSoakWorld is a master and two replicas that three sentinels watch.
func newSentinelSoakWorld(t *testing.T, random *rand.Rand) *soakWorld {
	t.Helper()
	w := &soakWorld{faults: sentinelSoakFaults, sentinels: redistest.StartSentinels(t, tracetest.Unlimited...), random: random}
	w.subscribe(t, clientsOfSentinels(w.sentinels))
	w.publisher.to(w.sentinels.Master(), w.sentinels.Master())
	return w
}

var sentinelSoakFaults = []soakFault{
	{"CLIENT KILL", func(t *testing.T, w *soakWorld) { killSubscriptions(t, w.sentinels.Servers()) }},
	{"failover", func(t *testing.T, w *soakWorld) {
		w.replaceMaster(t, func(*redistest.Server) { w.sentinels.BeginFailover() }, nil)
	}},
	{"killed", func(t *testing.T, w *soakWorld) {
		w.replaceMaster(t, (*redistest.Server).Kill, (*redistest.Server).Restart)
	}},
	{"stopped", func(t *testing.T, w *soakWorld) {
		w.replaceMaster(t, (*redistest.Server).Pause, (*redistest.Server).Resume)
	}},
	{"cut off", func(t *testing.T, w *soakWorld) {
		w.replaceMaster(t, w.sentinels.CutOff, w.sentinels.Rejoin)
	}},
}

// replaceMaster does something to the master, and waits until another one has taken its place.
// The fault ends as soon as it has, or when all subscribers receive messages again.
func (w *soakWorld) replaceMaster(t *testing.T, begin, end func(*redistest.Server)) {
	t.Helper()
	old := w.sentinels.Master()
	begin(old)
	w.sentinels.WaitUntilContested(old)
	w.publisher.hold() // see followMaster
	master := w.sentinels.WaitUntilMasterIsNot(old)
	w.publisher.to(master, master)
	if w.random.IntN(2) == 0 {
		w.publisher.awaitReturn(t, "another server has become the master")
	}
	if end != nil {
		end(old)
	}
	w.publisher.awaitReturn(t, "another server has become the master")
	w.sentinels.WaitUntilHealthy() // by which subscribers would be thrown off the old one
}

// newClusterSoakWorld is a cluster of three masters and their replicas. A classic message goes
// to the other nodes through proxies, so there are fewer of them.
func newClusterSoakWorld(t *testing.T, random *rand.Rand) *soakWorld {
	t.Helper()
	cluster := redistest.StartBusProxiedCluster(t, tracetest.Unlimited...)
	w := &soakWorld{faults: clusterSoakFaults, cluster: cluster, random: random}
	w.subscribe(t, clientsOfCluster(cluster))
	for _, s := range w.publisher.soakers {
		s.repeats = true
	}
	masters := cluster.Masters()
	w.home = masters[slices.IndexFunc(masters, func(m *redistest.Server) bool { return m != w.shardOwner() })]
	w.publisher.pace = 10 * time.Millisecond
	w.publisher.to(w.home, w.shardOwner())
	return w
}

// shardOwner returns the node at which the sharded messages are published.
func (w *soakWorld) shardOwner() *redistest.Server { return w.cluster.OwnerOf("soak:shard") }

var clusterSoakFaults = []soakFault{
	{"CLIENT KILL", func(t *testing.T, w *soakWorld) { killSubscriptions(t, w.cluster.Nodes()) }},
	{"slot migrated", func(_ *testing.T, w *soakWorld) {
		w.publisher.hold()
		owner := w.shardOwner()
		masters := slices.DeleteFunc(w.cluster.Masters(), func(m *redistest.Server) bool { return m == owner || m == w.home })
		w.cluster.MigrateSlotOf("soak:shard", masters[w.random.IntN(len(masters))])
		w.publisher.to(w.home, w.shardOwner())
	}},
	{"failover", func(_ *testing.T, w *soakWorld) {
		w.publisher.hold()
		w.cluster.Failover(w.cluster.ReplicaOf(w.victim()))
		w.publisher.to(w.home, w.shardOwner())
	}},
	{"killed", func(t *testing.T, w *soakWorld) {
		w.replaceNode(t, false, (*redistest.Server).Kill, (*redistest.Server).Restart)
	}},
	{"stopped", func(t *testing.T, w *soakWorld) {
		w.replaceNode(t, false, (*redistest.Server).Pause, (*redistest.Server).Resume)
	}},
	{"cut off", func(t *testing.T, w *soakWorld) {
		w.replaceNode(t, true, w.cluster.Isolate, w.cluster.Rejoin)
	}},
}

// victim returns a master at random that is not the home of the publisher.
func (w *soakWorld) victim() *redistest.Server {
	masters := slices.DeleteFunc(w.cluster.Masters(), func(m *redistest.Server) bool { return m == w.home })
	return masters[w.random.IntN(len(masters))]
}

// replaceNode does something to a master, and waits until its replica has taken its place. The
// fault ends as soon as it has, or when all subscribers receive messages again.
//
// A node that is cut off rejoins only then: a subscription cannot know of a node that was cut off
// for a shorter time than it takes to notice.
func (w *soakWorld) replaceNode(t *testing.T, cutOff bool, begin, end func(*redistest.Server)) {
	t.Helper()
	victim := w.victim()
	probe := w.cluster.ChannelOn(victim, "probe")
	begin(victim)
	w.cluster.WaitUntilContested(probe, victim)
	w.publisher.hold() // see followMaster
	w.cluster.WaitUntilHealthy()
	w.publisher.to(w.home, w.shardOwner())
	if cutOff || w.random.IntN(2) == 0 {
		w.publisher.awaitReturn(t, "a replica has taken over")
	}
	end(victim)
	w.cluster.WaitUntilHealthy()
}

// killSubscriptions kills the connections of all subscribers.
func killSubscriptions(t *testing.T, servers []*redistest.Server) {
	t.Helper()
	for _, server := range servers {
		rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
		if err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Errorf("CLIENT KILL: %v", err)
		}
		_ = rdb.Close()
	}
}

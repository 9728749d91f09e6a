// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// leftNode is how soon a subscription leaves a node that is not in good standing with the
// others.
const leftNode = 12 * time.Second

// With Redis' cluster-node-timeout of 15 s, leaving takes a bit longer, since nodes that were
// asked in vain meanwhile are asked less often. A downtime reaches back to the last time at which
// the others have heard the node. It is still published to for as long as its replica takes to
// take over.
const (
	leftSlowly   = leftNode + 3*time.Second
	slowTakeover = 20 * time.Second
)

var busFaults = []fault{{
	name: "cut off from the bus", reason: "the node vouches for itself, while its replica has taken over",
	at: onBusCluster(), does: onVictim, within: leftNode,
	inflict: isolateVictim,
}, {
	name: "cut off from the bus of a cluster with Redis' defaults", reason: "for 15 s the others count the node as a member, and then the cluster stops until a replica has taken over",
	at: func(t *testing.T, s *scene) {
		onBusCluster("--cluster-node-timeout", "15000", "--cluster-require-full-coverage", "yes")(t, s)
		s.reach += slowTakeover
	},
	does: onVictim, within: leftSlowly, inflict: isolateVictim,
}, {
	name: "cut off from the bus, and no replica takes over", reason: "the slots still belong to the node, and all other messages pass it by",
	at: onBusCluster("--cluster-replica-no-failover", "yes"), within: leftNode,
	// A subscription may stay with the only owner of a slot, or try whether there is another.
	does: func(s *scene, r *row, channel string) effect {
		if r.kind.sharded && onVictim(s, r, channel) == severed {
			return either
		}
		return onVictim(s, r, channel)
	},
	inflict: func(_ *testing.T, s *scene) {
		s.cluster.Isolate(s.victim)
		s.cluster.WaitUntilFailed(s.victim)
		s.cluster.WaitUntilDown(s.victim)
	},
}, {
	name: "CLUSTER FORGET of all others", reason: "the node is a cluster of its own, and says that it is up",
	at: onBusCluster(), does: onVictim, within: leftNode,
	inflict: func(t *testing.T, s *scene) {
		replica := s.cluster.ReplicaOf(s.victim)
		s.cluster.ForgetOthers(s.victim)
		s.publisher.hold() // see followMaster
		s.cluster.Takeover(replica)
		s.healed = time.Now()
		s.publishAt(t, replica, s.sharded[:2]...)
	},
}}

func isolateVictim(t *testing.T, s *scene) {
	replica := s.cluster.ReplicaOf(s.victim)
	s.cluster.Isolate(s.victim)
	s.cluster.WaitUntilContested(s.sharded[0], s.victim)
	s.publisher.hold() // see followMaster
	s.cluster.WaitUntilHealthy()
	s.healed = time.Now()
	s.publishAt(t, replica, s.sharded[:2]...)
}

// onBusCluster is the same as onCluster, with a cluster from whose bus a node can be cut off.
// The reference watches the channels of the victim on its replica as well.
func onBusCluster(args ...string) func(*testing.T, *scene) {
	return func(t *testing.T, s *scene) {
		t.Helper()
		s.inCluster(redistest.StartBusProxiedCluster(t, args...))
		s.reach = roleReach
		for _, channel := range s.sharded[:2] {
			s.watched[channel] = []string{s.victim.Addr(), s.cluster.ReplicaOf(s.victim).Addr()}
		}
	}
}

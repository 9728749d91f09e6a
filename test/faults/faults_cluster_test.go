// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var proxyFaults = []fault{{
	name: "cut", reason: "the network resets the connection, and the server is there",
	at: behindProxy, does: severed.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.Cut()
	},
}, {
	name: "cut and refused", reason: "no server listens at that address for a while",
	at: behindProxy, does: severed.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.Refuse()
		s.proxy.Cut()
		tracetest.LetTimePass(aWhile)
		s.proxy.Accept()
	},
}, {
	name: "cut, and a black hole", reason: "an attempt to connect is never answered, and takes a timeout",
	at: behindProxy, does: severed.on, within: withinBackoff + clientTimeout,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.BlackHole()
		s.proxy.Cut()
		tracetest.LetTimePass(aWhile)
		s.proxy.Accept()
	},
}, {
	name: "stalled", reason: "a congested network loses nothing",
	at: behindProxy, does: spared.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.Stall()
		tracetest.LetTimePass(aWhile)
		s.proxy.Resume()
	},
}, {
	name: "split byte by byte", reason: "a message may end anywhere in a packet",
	at: behindProxy, does: spared.on, within: withinBackoff,
	inflict: func(t *testing.T, s *scene) {
		s.proxy.SplitBytes(true)
		waitForMessages(t, s, flowing)
		s.proxy.SplitBytes(false)
	},
}, {
	name: "split byte by byte, and cut", reason: "the connection ends within a message",
	at: behindProxy, does: severed.on, within: withinBackoff,
	inflict: func(t *testing.T, s *scene) {
		s.proxy.SplitBytes(true)
		waitForMessages(t, s, flowing)
		s.proxy.Cut()
		s.proxy.SplitBytes(false)
	},
}}

// nodeRemoved is how soon a subscription notices that its node is not in the cluster any
// more.
const nodeRemoved = 15 * time.Second

// heartbeats is how long a Ring takes to see that a server is back.
const heartbeats = time.Second

var clusterFaults = []fault{{
	name: "node removed", reason: "it runs on, alone, and sends nothing",
	at: onCluster, does: onVictim, within: nodeRemoved,
	inflict: func(_ *testing.T, s *scene) {
		s.cluster.Remove(s.victim)
	},
}, {
	name: "slot migrated", reason: "another master takes over two of the channels",
	at: onCluster, within: withinBackoff,
	does: func(s *scene, r *row, channel string) effect {
		if !r.kind.sharded {
			return spared
		}
		return onVictim(s, r, channel)
	},
	inflict: func(_ *testing.T, s *scene) {
		masters := s.cluster.Masters()
		s.cluster.MigrateSlotOf(s.sharded[0], masters[1])
		s.cluster.MigrateSlotOf(s.sharded[1], masters[2])
	},
}, {
	name: "failover", reason: "an operator makes a replica the master; both run",
	at: onCluster, within: withinBackoff,
	// As a replica the node still delivers messages, but it may unsubscribe sharded channels.
	does: func(s *scene, r *row, channel string) effect {
		if r.kind.sharded && onVictim(s, r, channel) == severed {
			return either
		}
		return spared
	},
	inflict: func(_ *testing.T, s *scene) {
		s.cluster.Failover(s.cluster.ReplicaOf(s.victim))
	},
}, {
	name: "master killed", reason: "its replica takes over, and the address is gone",
	at: onCluster, does: onVictim, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.cluster.KillMasterOf(s.sharded[0])
	},
}, {
	name: "CLIENT KILL on a cluster", reason: "several slots on one connection are not subscribed to in one command",
	at: onCluster, does: severed.on, within: withinBackoff, inflict: killRows,
}, {
	name: "all shards of a cluster down", reason: "no slot has an owner for a while",
	at: onCluster, does: severed.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		for _, node := range s.servers {
			node.Kill()
		}
		tracetest.LetTimePass(aWhile)
		restartAll(s.servers)
		s.cluster.WaitUntilHealthy()
	},
}, {
	name: "all shards of a Ring down", reason: "go-redis panics where it has no shard",
	at: onRing, does: severed.on, within: withinBackoff + heartbeats,
	inflict: func(_ *testing.T, s *scene) {
		for _, server := range s.servers {
			server.Kill()
		}
		tracetest.LetTimePass(aWhile)
		restartAll(s.servers)
	},
}}

func restartAll(servers []*redistest.Server) {
	for _, server := range servers {
		server.Restart()
	}
}

// onVictim is severed if the row receives the channel from the node that the fault
// happens to.
func onVictim(s *scene, r *row, channel string) effect {
	if r.kind.sharded && !slices.Contains(s.sharded[:2], channel) {
		return spared
	}
	return severed
}

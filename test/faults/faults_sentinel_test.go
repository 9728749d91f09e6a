// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// withinSentinels is how soon a subscription is on the new master after the sentinels agree.
const withinSentinels = 2 * time.Second

// roleReach is how far a downtime may reach back behind the last message where a server must be
// known to be the right one, and not only to be alive.
const roleReach = 12 * time.Second

var sentinelFaults = []fault{{
	name: "failover by sentinels", reason: "an operator moves the master; the old one runs on for seconds, and nobody publishes there",
	at: onSentinels, does: severed.on, within: withinSentinels,
	inflict: func(t *testing.T, s *scene) {
		old := s.sentinels.Master()
		s.sentinels.BeginFailover()
		s.followMaster(t, old)
	},
}, {
	name: "master of sentinels killed", reason: "its address is gone, and until the sentinels agree there is no master",
	at: onSentinels, does: severed.on, within: withinSentinels,
	inflict: func(t *testing.T, s *scene) {
		old := s.sentinels.Master()
		old.Kill()
		s.followMaster(t, old)
	},
}, {
	name: "master of sentinels stopped and continued", reason: "it was deposed while it slept, and then answers as if nothing had happened",
	at: onSentinels, does: severed.on, within: withinSentinels + clientTimeout,
	inflict: func(t *testing.T, s *scene) {
		old := s.sentinels.Master()
		old.Pause()
		s.followMaster(t, old)
		old.Resume()
	},
}, {
	name: "master of sentinels stopped", reason: "nothing ends the connection to it, and nothing is refused there",
	at: onSentinels, does: severed.on, within: withinSentinels + clientTimeout,
	inflict: func(t *testing.T, s *scene) {
		old := s.sentinels.Master()
		old.Pause()
		s.followMaster(t, old)
	},
}, {
	name: "master cut off from its sentinels", reason: "its clients still reach it, and it does not know that it was deposed",
	at: onSentinels, does: severed.on, within: withinSentinels,
	inflict: func(t *testing.T, s *scene) {
		old := s.sentinels.Master()
		s.sentinels.CutOff(old)
		s.followMaster(t, old)
	},
}}

// onSentinels is a master and two replicas that three sentinels watch. The reference watches all
// channels on all of the servers.
func onSentinels(t *testing.T, s *scene) {
	t.Helper()
	s.sentinels = redistest.StartSentinels(t)
	s.servers = s.sentinels.Servers()
	s.clients = clientsOfSentinels(s.sentinels)
	s.reach = roleReach
	s.classic, s.sharded = classicChannels, shardedChannels
	channels := slices.Concat(s.classic, s.sharded)
	s.publisher.to([]string{s.sentinels.Master().Addr()}, channels...)
	for _, channel := range channels {
		for _, server := range s.servers {
			s.watched[channel] = append(s.watched[channel], server.Addr())
		}
	}
}

// followMaster waits until the sentinels agree on another master than old, and makes the
// publisher publish there.
//
// While only some of the sentinels know the new master, nothing is published: a subscription
// may have left the old one by then, and cannot know of what is still published there.
func (s *scene) followMaster(t *testing.T, old *redistest.Server) {
	t.Helper()
	s.sentinels.WaitUntilContested(old)
	s.publisher.hold()
	master := s.sentinels.WaitUntilMasterIsNot(old)
	s.healed = time.Now()
	s.publishAt(t, master, slices.Concat(s.classic, s.sharded)...)
}

// publishAt ends hold, and makes the publisher publish channels on another server. The reference
// is there first.
func (s *scene) publishAt(t *testing.T, server *redistest.Server, channels ...string) {
	t.Helper()
	for _, channel := range channels {
		s.awaitReference(t, channel, server.Addr())
	}
	s.publisher.to([]string{server.Addr()}, channels...)
	s.publisher.release()
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// fault is something that happens to subscriptions.
type fault struct {
	name, reason string
	at           func(t *testing.T, s *scene)
	// inflict returns when the fault is over. If another moment counts as the end, it sets
	// healed.
	inflict func(t *testing.T, s *scene)
	// within is how soon messages have to be received again. Where connections are
	// refused, it is the longest back-off of a second, and another second.
	within time.Duration
	// does says what the fault does to a channel of a row.
	does func(s *scene, r *row, channel string) effect
	// alone says that the fault takes the whole machine: no other one runs beside it.
	alone bool
}

const (
	// aWhile is how long most faults last.
	aWhile        = 3 * time.Second
	withinBackoff = 2 * time.Second
	// halfOpen is how soon a connection that vanished without a packet is noticed.
	halfOpen = 20 * time.Second
)

// effect is what a fault does to a channel of a row.
type effect int

const (
	spared  effect = iota // nothing is lost, and nothing reported
	severed               // it is disconnected for a while, and that is reported
	either                // one or the other
)

func (e effect) on(*scene, *row, string) effect { return e }

var allFaults = slices.Concat(slowFaults, sentinelFaults, busFaults, clusterFaults, serverFaults, proxyFaults, tlsFaults, optionFaults)

// slowFaults last longest, and begin first.
var slowFaults = []fault{{
	name: "half-open", reason: "the connection has vanished, and no packet says so",
	at: behindProxy, does: severed.on, within: halfOpen,
	inflict: func(_ *testing.T, s *scene) {
		s.healed = time.Now()
		s.proxy.DropSilently() // new connections work
	},
}, {
	name: "half-open, with TLS", reason: "TLS has no sign of life of its own",
	at: behindTLSProxy, does: severed.on, within: halfOpen,
	inflict: func(_ *testing.T, s *scene) {
		s.healed = time.Now()
		s.proxy.DropSilently()
	},
}, {
	name: "stalled in a large Subscribe, without a WriteTimeout", reason: "the write never ends, and must not keep the connection alive",
	at: withoutWriteTimeout, does: severed.on, within: withinBackoff + clientTimeout, inflict: subscribeToMuch,
	alone: true, // each row sends 16 MB, and again when it is back
}, {
	name: "stopped for longer than anybody waits", reason: "it counts as dead, and each attempt takes a timeout",
	at: onServer(), does: severed.on, within: withinBackoff + clientTimeout,
	inflict: func(_ *testing.T, s *scene) {
		s.servers[0].Pause()
		tracetest.LetTimePass(halfOpen + 4*time.Second)
		s.servers[0].Resume()
	},
}}

var serverFaults = []fault{{
	name: "CLIENT KILL", reason: "an operator, or a limit of the server",
	at: onServer(), does: severed.on, within: withinBackoff, inflict: killRows,
}, {
	name: "killed and restarted at once", reason: "the first attempt may be refused, or not",
	at: onServer(), does: severed.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.servers[0].Restart()
	},
}, {
	name: "killed and restarted after seconds", reason: "the back-off has grown by then",
	at: onServer(), does: severed.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.servers[0].Kill()
		tracetest.LetTimePass(aWhile)
		s.servers[0].Restart()
	},
}, {
	name: "stopped and continued", reason: "a server may take its time, and has lost nothing then",
	at: onServer(), does: spared.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.servers[0].Pause()
		tracetest.LetTimePass(aWhile)
		s.servers[0].Resume()
	},
}, {
	name: "slower than the publisher", reason: "the server disconnects a client that does not read: client-output-buffer-limit",
	at: onServer("--client-output-buffer-limit", "pubsub", "1mb", "0", "0"), does: severed.on, within: withinBackoff,
	inflict: overwhelm,
}, {
	name: "ACL taken away and given back", reason: "the server ends the connection, and refuses the channels for a while",
	at: onServerWithACL, does: severed.on, within: withinBackoff, inflict: forbid,
}}

// killRows kills the connections of all rows.
func killRows(t *testing.T, s *scene) {
	t.Helper()
	for _, server := range s.servers {
		admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
		for _, r := range s.rows {
			for _, id := range connectionsOf(t, server.Addr(), r.clientName()) {
				if n, err := admin.ClientKillByFilter(t.Context(), "ID", id).Result(); err != nil || n != 1 {
					t.Errorf("CLIENT KILL ID %s: %d, %v", id, n, err)
				}
			}
		}
		_ = admin.Close()
	}
}

// overwhelm publishes more than the consumers of the rows take, until the server has
// disconnected each of them. Then they go on.
func overwhelm(t *testing.T, s *scene) {
	t.Helper()
	gate := make(chan struct{})
	defer close(gate)
	connected := make(map[*row][]string)
	for _, r := range s.rows {
		connected[r] = connectionsOf(t, s.servers[0].Addr(), r.clientName())
		r.gate.Store(&gate)
	}
	padding := strings.Repeat("large ", 20_000)
	deadline := time.Now().Add(3 * tracetest.Patience)
	for len(connected) > 0 {
		for _, channel := range []string{s.classic[0], s.sharded[0]} {
			s.publisher.publish(channel, padding)
			// The reference must not be disconnected as well.
			s.await(t, s.rows[0], tracetest.Patience, "the reference keeps up", func() bool {
				return s.reference.lastSeq()[channel] >= s.publisher.acked(channel)
			})
		}
		for r, ids := range connected {
			if !slices.Equal(connectionsOf(t, s.servers[0].Addr(), r.clientName()), ids) {
				delete(connected, r)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server has not disconnected %d rows", len(connected))
		}
	}
	for _, r := range s.rows {
		r.gate.Store(nil)
	}
}

// onServerWithACL is one server. The rows connect as a user whose rights may change.
func onServerWithACL(t *testing.T, s *scene) {
	t.Helper()
	onServer()(t, s)
	setRights(t, s, "allchannels")
	addr := s.servers[0].Addr()
	s.clients = []constructor{{"NewClient", func(name string) redis.UniversalClient {
		o := options(addr, name)
		o.Username, o.Password = "row", "secret"
		return redis.NewClient(o)
	}}}
}

func setRights(t *testing.T, s *scene, rights string) {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: s.servers[0].Addr()})
	defer func() { _ = rdb.Close() }()
	if err := rdb.Do(t.Context(), "ACL", "SETUSER", "row", "on", ">secret", "+@all", rights).Err(); err != nil {
		t.Fatalf("ACL SETUSER: %v", err)
	}
}

// forbid takes the rights away until each row has been refused.
func forbid(t *testing.T, s *scene) {
	t.Helper()
	setRights(t, s, "resetchannels")
	for _, r := range s.rows {
		for _, channel := range r.channels(s) {
			topic := r.kind.reported(channel)
			got := r.reports.WaitFor(t, strings.ToLower(r.kind.name), topic)
			if !strings.Contains(got.Error(), "NOPERM") {
				t.Errorf("%s: reported was %v, want a refusal", r.name(), got)
			}
		}
	}
	setRights(t, s, "allchannels")
}

// waitForMessages waits until each row has received n more messages.
func waitForMessages(t *testing.T, s *scene, n int) {
	t.Helper()
	for _, r := range s.rows {
		before := len(r.received.all())
		s.await(t, r, tracetest.Patience, fmt.Sprintf("%d messages are received", n), func() bool { return len(r.received.all()) >= before+n })
	}
}

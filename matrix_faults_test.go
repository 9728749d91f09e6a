// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

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
	// inflict returns when the fault is over. If the return counts from another
	// time, it sets healed.
	inflict func(t *testing.T, s *scene)
	// within is how soon the messages have to arrive again. Where connections are
	// refused, it is the library's second of back-off and as much again.
	within time.Duration
	// does says what the fault does to a channel of a row.
	does func(s *scene, r *row, channel string) effect
}

const (
	// aWhile is how long a fault lasts that lasts.
	aWhile    = 3 * time.Second
	soonAgain = 2 * time.Second
	// half-open: silence is noticed within it.
	halfOpen = 20 * time.Second
)

// effect is what a fault does to a channel of a row.
type effect int

const (
	spared  effect = iota // nothing is lost, and nothing reported
	severed               // it cannot be heard for a while, and this is reported
	either
)

func (e effect) on(*scene, *row, string) effect { return e }

var matrixFaults = slices.Concat(slowFaults, serverFaults, proxyFaults, clusterFaults)

// slowFaults last longest, and begin first.
var slowFaults = []fault{{
	name: "half-open", reason: "the connection has vanished, and no packet says so",
	at: behindProxy, does: severed.on, within: halfOpen,
	inflict: func(_ *testing.T, s *scene) {
		s.healed = time.Now()
		s.proxy.DropSilently() // new connections work
	},
}, {
	name: "stopped for longer than anybody waits", reason: "it is taken for dead, and each attempt runs into a limit",
	at: onServer(), does: severed.on, within: soonAgain + fewWaits,
	inflict: func(_ *testing.T, s *scene) {
		s.servers[0].Pause()
		tracetest.LetTimePass(halfOpen + 4*time.Second)
		s.servers[0].Resume()
	},
}}

var serverFaults = []fault{{
	name: "CLIENT KILL", reason: "an operator, or a limit of the server",
	at: onServer(), does: severed.on, within: soonAgain, inflict: killRows,
}, {
	name: "killed and restarted at once", reason: "the first attempt may be refused, or not",
	at: onServer(), does: severed.on, within: soonAgain,
	inflict: func(_ *testing.T, s *scene) {
		s.servers[0].Restart()
	},
}, {
	name: "killed and restarted after seconds", reason: "the back-off has grown by then",
	at: onServer(), does: severed.on, within: soonAgain,
	inflict: func(_ *testing.T, s *scene) {
		s.servers[0].Kill()
		tracetest.LetTimePass(aWhile)
		s.servers[0].Restart()
	},
}, {
	name: "stopped and continued", reason: "a server may take its time, and has lost nothing then",
	at: onServer(), does: spared.on, within: soonAgain,
	inflict: func(_ *testing.T, s *scene) {
		s.servers[0].Pause()
		tracetest.LetTimePass(aWhile)
		s.servers[0].Resume()
	},
}, {
	name: "slower than the publisher", reason: "the server cuts off who does not read: client-output-buffer-limit",
	at: onServer("--client-output-buffer-limit", "pubsub", "1mb", "0", "0"), does: severed.on, within: soonAgain,
	inflict: overwhelm,
}, {
	name: "ACL taken away and given back", reason: "the server ends the connection, and refuses the names for a while",
	at: onServerWithACL, does: severed.on, within: soonAgain, inflict: forbid,
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

// overwhelm publishes more than the rows' consumers take, until the server has
// lost patience with each of them. Then they go on.
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
			// The reference must not be the next to be cut off.
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
			t.Fatalf("the server has not cut off %d rows", len(connected))
		}
	}
	for _, r := range s.rows {
		r.gate.Store(nil)
	}
}

// onServerWithACL is one server. The rows are a user whose rights may change.
func onServerWithACL(t *testing.T, s *scene) {
	t.Helper()
	onServer()(t, s)
	setRights(t, s, "allchannels")
	addr := s.servers[0].Addr()
	s.connect = func(name string) redis.UniversalClient {
		o := options(addr, name)
		o.Username, o.Password = "row", "secret"
		return redis.NewClient(o)
	}
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
			name := r.kind.reported(channel)
			got := r.reports.WaitFor(t, strings.ToLower(r.kind.name), name)
			if !strings.Contains(got.Error(), "NOPERM") {
				t.Errorf("%s: reported was %v, want a refusal", r.name(), got)
			}
		}
	}
	setRights(t, s, "allchannels")
}

// received waits until each row has received n messages more.
func received(t *testing.T, s *scene, n int) {
	t.Helper()
	for _, r := range s.rows {
		before := len(r.heard.all())
		s.await(t, r, tracetest.Patience, fmt.Sprintf("%d messages come", n), func() bool { return len(r.heard.all()) >= before+n })
	}
}

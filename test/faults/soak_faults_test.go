// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// soakWorld has what the faults of a soak strike.
type soakWorld struct {
	faults []soakFault
	slow   []soakFault // left out near the end of a run

	server    *redistest.Server
	proxy     *redistest.Proxy // the subscribers are behind it
	sentinels *redistest.Sentinels
	cluster   *redistest.Cluster
	home      *redistest.Server // the node of the cluster that no fault strikes
	publisher *soakPublisher
	random    *rand.Rand
}

// newSoakWorld starts a server, subscribes through a proxy, and publishes nothing yet.
func newSoakWorld(t *testing.T, random *rand.Rand) *soakWorld {
	t.Helper()
	// The subscribers connect as a user of their own, whose rights may change.
	user := []string{"--user", soakUser, "on", ">" + soakUser, "+@all", "~*", "&*"}
	server, _ := tracetest.StartServer(t, slices.Concat(tracetest.Unlimited, user)...)
	w := &soakWorld{faults: soakFaults, slow: slowSoakFaults, server: server, proxy: redistest.NewProxy(t, server.Addr()), random: random}
	w.subscribe(t, clientsOf(w.proxy.Addr(), func(o *redis.UniversalOptions) { o.Username, o.Password = soakUser, soakUser }))
	w.publisher.to(server, server)
	return w
}

// subscribe subscribes with these clients, which take turns.
func (w *soakWorld) subscribe(t *testing.T, clients []constructor) {
	t.Helper()
	w.publisher = newSoakPublisher(t)
	w.publisher.soakers = newSoakers(t, clients, w.publisher.sent)
}

// wait waits for up to a second.
func (w *soakWorld) wait() { tracetest.LetTimePass(time.Duration(w.random.Int64N(int64(time.Second)))) }

// command runs a command on the server.
func (w *soakWorld) command(t *testing.T, args ...any) {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: w.server.Addr()})
	defer func() { _ = rdb.Close() }()
	if err := rdb.Do(t.Context(), args...).Err(); err != nil {
		t.Errorf("%v: %v", args, err)
	}
}

// soakFault is a fault that strikes all subscriptions of the soak.
type soakFault struct {
	name    string
	strikes func(t *testing.T, w *soakWorld)
}

var soakFaults = []soakFault{
	{"CLIENT KILL", func(t *testing.T, w *soakWorld) { w.command(t, "CLIENT", "KILL", "TYPE", "pubsub") }},
	{"restart", func(_ *testing.T, w *soakWorld) { w.server.Restart() }},
	{"down", func(_ *testing.T, w *soakWorld) {
		w.server.Kill()
		w.wait()
		w.server.Restart()
	}},
	{"stopped", func(_ *testing.T, w *soakWorld) {
		w.server.Pause()
		w.wait()
		w.server.Resume()
	}},
	{"cut", func(_ *testing.T, w *soakWorld) { w.proxy.Cut() }},
	{"refused", func(_ *testing.T, w *soakWorld) {
		w.proxy.Refuse()
		w.proxy.Cut()
		w.wait()
		w.proxy.Accept()
	}},
	{"stalled", func(_ *testing.T, w *soakWorld) {
		w.proxy.Stall()
		w.wait()
		w.proxy.Resume()
	}},
	{"split", func(_ *testing.T, w *soakWorld) {
		w.proxy.SplitBytes(true)
		tracetest.LetTimePass(50 * time.Millisecond)
		w.proxy.SplitBytes(false)
	}},
	{"black hole", func(_ *testing.T, w *soakWorld) {
		w.proxy.BlackHole()
		w.proxy.Cut()
		w.wait()
		w.proxy.Accept()
	}},
	{"ACL", func(t *testing.T, w *soakWorld) {
		w.command(t, "ACL", "SETUSER", soakUser, "resetchannels")
		w.wait()
		w.command(t, "ACL", "SETUSER", soakUser, "allchannels")
	}},
	{"slow", overwhelmSoakers},
}

var slowSoakFaults = []soakFault{
	{"half-open", func(_ *testing.T, w *soakWorld) { w.proxy.DropSilently() }},
}

// overwhelmSoakers publishes more than the subscribers read, until the server has
// disconnected each of them. Then they go on.
func overwhelmSoakers(t *testing.T, w *soakWorld) {
	t.Helper()
	gate, large := make(chan struct{}), strings.Repeat("large ", 5_000)
	connected := make(map[*soaker][]string)
	for _, s := range w.publisher.soakers {
		connected[s] = connectionsOf(t, w.server.Addr(), s.name)
		s.gate.Store(&gate)
	}
	w.command(t, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
	w.publisher.padding.Store(&large)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * tracetest.Patience); len(connected) > 0; <-tick.C {
		for s, ids := range connected {
			if !slices.Equal(connectionsOf(t, w.server.Addr(), s.name), ids) {
				delete(connected, s)
			}
		}
		if time.Now().After(deadline) {
			t.Errorf("the server has not disconnected %d subscribers", len(connected))
			break
		}
	}
	w.publisher.padding.Store(new(string))
	for _, s := range w.publisher.soakers {
		s.gate.Store(nil)
	}
	close(gate)
	w.command(t, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// loaded is a client that is published to all the time.
type loaded struct {
	client   *tracedpubsub.Client
	rdb      redis.UniversalClient
	channels []string
	sharded  bool
	// servers returns the servers that deliver messages to sub, by channel.
	servers func(t *testing.T, sub *tracedpubsub.PubSub, channel string) string
	reports *tracetest.ReportLog
}

var loads = []struct {
	name, reason string
	start        func(t *testing.T) *loaded
}{
	{"a server", "one connection", func(t *testing.T) *loaded {
		server, _ := tracetest.StartServer(t)
		s := tracetest.NewSubject(t, server.Addr())
		return &loaded{client: s.Client, rdb: s.RDB, channels: []string{"a", "b"}, reports: s.Reports,
			servers: func(*testing.T, *tracedpubsub.PubSub, string) string { return server.Addr() }}
	}},
	{"a cluster", "all channels on one node", func(t *testing.T) *loaded {
		redistest.Long(t)
		s := startCluster(t).subject(t)
		return &loaded{client: s.Client, rdb: s.rdb, channels: []string{"a", "b"}, reports: s.reports,
			servers: func(t *testing.T, _ *tracedpubsub.PubSub, _ string) string { return s.nodeOfPlain(t).Addr() }}
	}},
	{"a cluster, sharded", "a connection to each node", func(t *testing.T) *loaded {
		c := startCluster(t)
		s := c.subject(t)
		return &loaded{client: s.Client, rdb: s.rdb, channels: c.spread(t, "s", 1), sharded: true, reports: s.reports,
			servers: func(_ *testing.T, _ *tracedpubsub.PubSub, channel string) string { return c.OwnerOf(channel).Addr() }}
	}},
	{"a Ring", "a connection to each server", func(t *testing.T) *loaded {
		s := newRingSubject(t)
		return &loaded{client: s.Client, rdb: s.ring, channels: []string{"a", "b", "c", "d", "e"}, reports: s.reports,
			servers: func(t *testing.T, _ *tracedpubsub.PubSub, channel string) string {
				return s.servers[s.owner(t, channel)].Addr()
			}}
	}},
}

// Everything that the servers had sent when Shutdown was called is handled, whatever the way to
// consume, and the number of loops.
func TestShutdownHandlesAll(t *testing.T) {
	t.Parallel()
	for _, tt := range loads {
		t.Run(tt.name, func(t *testing.T) {
			l := tt.start(t)
			for _, way := range tracetest.Consumers {
				for _, loops := range []int{1, 4} {
					t.Run(fmt.Sprintf("%s in %d loops", way.Name, loops), func(t *testing.T) { l.shutDown(t, way, loops) })
				}
			}
			l.reports.AssertNone(t)
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

func (l *loaded) shutDown(t *testing.T, way tracetest.Consumer, loops int) {
	ctx := tracetest.Context(t)
	var sub *tracedpubsub.PubSub
	if l.sharded {
		sub = tracetest.ReadySub(t, l.client.SSubscribe(ctx, l.channels...))
	} else {
		sub = tracetest.ReadySub(t, l.client.Subscribe(ctx, l.channels...))
	}
	sent := l.watch(t, sub)
	var handled, early set
	var busy atomic.Int32
	var consumers sync.WaitGroup
	for range loops {
		consumers.Go(func() {
			way.Consume(ctx, sub, func(m *tracedpubsub.Message) bool {
				busy.Add(1)
				tracetest.LetTimePass(time.Millisecond) // slower than the publisher
				handled.add(m.Payload)
				busy.Add(-1)
				return true
			})
		})
	}
	stop := l.publish(t)
	tracetest.Eventually(t, "messages are handled", func() bool { return handled.size() > 5 })
	early.addAll(sent.all())
	if err := sub.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if way.Name == "Messages" || way.Name == "Process" {
		if n := busy.Load(); n != 0 {
			t.Errorf("%d handlers were running when Shutdown returned", n)
		}
	} else {
		tracetest.ReturnsPromptly(t, "the loops", consumers.Wait)
	}
	for _, payload := range early.all() {
		if !handled.has(payload) {
			t.Errorf("%s was sent, and not handled (%d were sent, %d handled)", payload, early.size(), handled.size())
			break
		}
	}
	stop()
	tracetest.ReturnsPromptly(t, "the loops", consumers.Wait)
}

// watch returns what the servers send to raw subscribers from now on.
func (l *loaded) watch(t *testing.T, sub *tracedpubsub.PubSub) *set {
	t.Helper()
	var sent set
	for _, channel := range l.channels {
		rdb := redis.NewClient(&redis.Options{Addr: l.servers(t, sub, channel)})
		raw := rdb.Subscribe(t.Context())
		subscribe := raw.Subscribe
		if l.sharded {
			subscribe = raw.SSubscribe
		}
		if err := subscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		var reading sync.WaitGroup
		reading.Go(func() {
			for {
				m, err := raw.ReceiveMessage(context.Background())
				if err != nil {
					return
				}
				sent.add(m.Payload)
			}
		})
		t.Cleanup(func() {
			_ = raw.Close()
			_ = rdb.Close()
			reading.Wait()
		})
	}
	return &sent
}

// publish publishes to all channels, until the function that it returns is called.
func (l *loaded) publish(t *testing.T) (stop func()) {
	t.Helper()
	var publishing sync.WaitGroup
	stopped := make(chan struct{})
	for _, channel := range l.channels {
		publishing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stopped:
					return
				default:
				}
				payload, send := channel+" "+strconv.Itoa(i), l.rdb.Publish
				if l.sharded {
					send = l.rdb.SPublish
				}
				if err := send(context.Background(), channel, payload).Err(); err != nil {
					t.Errorf("publish: %v", err)
					return
				}
				tracetest.LetTimePass(100 * time.Microsecond) // other tests need the machine, too
			}
		})
	}
	return sync.OnceFunc(func() {
		close(stopped)
		publishing.Wait()
	})
}

// set is a set of payloads.
type set struct {
	mu       sync.Mutex
	payloads map[string]bool
}

func (s *set) add(payload string) { s.addAll([]string{payload}) }

func (s *set) addAll(payloads []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.payloads == nil {
		s.payloads = make(map[string]bool)
	}
	for _, p := range payloads {
		s.payloads[p] = true
	}
}

func (s *set) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.payloads))
}

func (s *set) has(payload string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.payloads[payload]
}

func (s *set) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.payloads)
}

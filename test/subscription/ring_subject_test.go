// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// ringSubject is a client of a Ring of three servers, with a short heartbeat.
type ringSubject struct {
	*tracedpubsub.Client

	ring    *redis.Ring
	servers map[string]*redistest.Server // by the names that they have in the Ring
	admins  map[string]*redis.Client
	reports *tracetest.ReportLog
}

func newRingSubject(t *testing.T) *ringSubject {
	t.Helper()
	s := &ringSubject{
		servers: make(map[string]*redistest.Server), admins: make(map[string]*redis.Client), reports: tracetest.NewReportLog(),
	}
	for i := range 3 {
		s.addServer(t, strconv.Itoa(i))
	}
	s.wrapRing(t)
	return s
}

func (s *ringSubject) addServer(t *testing.T, name string) {
	t.Helper()
	s.servers[name] = redistest.Start(t)
	// It must not retry while its server is down.
	s.admins[name] = redis.NewClient(&redis.Options{Addr: s.servers[name].Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = s.admins[name].Close() })
}

func (s *ringSubject) wrapRing(t *testing.T) {
	t.Helper()
	s.ring = redis.NewRing(&redis.RingOptions{Addrs: s.addrs(), HeartbeatFrequency: 50 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { _ = s.ring.Close() })
	s.Client = tracedpubsub.Wrap(s.ring, tracedpubsub.WithErrorHandler(s.reports.Handle))
}

func (s *ringSubject) addrs() map[string]string {
	addrs := make(map[string]string)
	for name, server := range s.servers {
		addrs[name] = server.Addr()
	}
	return addrs
}

// owner returns the name of the server of a channel.
func (s *ringSubject) owner(t *testing.T, channel string) string {
	t.Helper()
	client, err := s.ring.GetShardClientForKey(channel)
	if err != nil {
		t.Fatalf("owner of %s: %v", channel, err)
	}
	for name, addr := range s.addrs() {
		if addr == client.Options().Addr {
			return name
		}
	}
	t.Fatalf("%s belongs to an unknown server", channel)
	return ""
}

// connections returns how many connections have subscriptions on each server that runs.
func (s *ringSubject) connections(t *testing.T) string {
	t.Helper()
	var counts []string
	for name, admin := range s.admins {
		if list, err := admin.Do(t.Context(), "client", "list", "type", "pubsub").Text(); err == nil {
			counts = append(counts, fmt.Sprintf("%s: %d", name, strings.Count(list, "\n")))
		}
	}
	slices.Sort(counts)
	return strings.Join(counts, ", ")
}

// waitForShards waits until n servers of the Ring are up.
func (s *ringSubject) waitForShards(t *testing.T, n int) {
	t.Helper()
	tracetest.Eventually(t, fmt.Sprintf("%d servers are up", n), func() bool { return s.ring.Len() == n })
}

// waitForOwners waits until each channel is subscribed to on its owner, and on no other
// server.
func (s *ringSubject) waitForOwners(t *testing.T, channels ...string) {
	t.Helper()
	for _, channel := range channels {
		tracetest.Eventually(t, channel+" is subscribed to on its owner only", func() bool {
			owner := s.owner(t, channel)
			for name, admin := range s.admins {
				n, err := admin.PubSubNumSub(t.Context(), channel).Result()
				if want := name == owner; err == nil && (n[channel] == 1) != want {
					return false
				}
			}
			return true
		})
	}
}

func (s *ringSubject) ready(t *testing.T, sub *tracedpubsub.PubSub) *tracedpubsub.PubSub {
	t.Helper()
	t.Cleanup(func() { _ = sub.Close() })
	tracetest.WaitReady(t, sub)
	return sub
}

// assertDelivers publishes on each channel, and asserts that sub receives every message.
func (s *ringSubject) assertDelivers(t *testing.T, sub *tracedpubsub.PubSub, publish func(ctx context.Context, channel string, payload any) *redis.IntCmd, channels ...string) {
	t.Helper()
	for _, channel := range channels {
		if err := publish(t.Context(), channel, channel).Err(); err != nil {
			t.Fatalf("publish on %s: %v", channel, err)
		}
	}
	assertReceivesAll(t, sub, channels...)
}

// waitForConnections waits until the channels a, b and c, or the pattern of sub, are
// subscribed to where they belong.
func (s *ringSubject) waitForConnections(t *testing.T, sub *tracedpubsub.PubSub) {
	t.Helper()
	tracetest.Eventually(t, "each topic is subscribed to", func() bool {
		patterns, subscribed := 0, make(map[string]bool)
		for name, admin := range s.admins {
			patterns += int(admin.PubSubNumPat(t.Context()).Val())
			for _, channel := range []string{"a", "b", "c"} {
				n := admin.PubSubNumSub(t.Context(), channel).Val()[channel] + admin.PubSubShardNumSub(t.Context(), channel).Val()[channel]
				subscribed[channel] = subscribed[channel] || n == 1 && s.owner(t, channel) == name
			}
		}
		if sub.String() == "PubSub(?)" {
			return patterns == 3
		}
		return subscribed["a"] && subscribed["b"] && subscribed["c"]
	})
}

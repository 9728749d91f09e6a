// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// ringSubject is a subject on a Ring of three servers that looks for them often.
type ringSubject struct {
	*tracedpubsub.Client

	ring    *redis.Ring
	servers map[string]*redistest.Server // by the names that the Ring has for them
	admins  map[string]*redis.Client
	reports *troubleLog
}

func newRingSubject(t *testing.T) *ringSubject {
	t.Helper()
	s := &ringSubject{
		servers: make(map[string]*redistest.Server), admins: make(map[string]*redis.Client), reports: newTroubleLog(),
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
	// Asked while its server is down, it is to say so at once.
	s.admins[name] = redis.NewClient(&redis.Options{Addr: s.servers[name].Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = s.admins[name].Close() })
}

func (s *ringSubject) wrapRing(t *testing.T) {
	t.Helper()
	s.ring = redis.NewRing(&redis.RingOptions{Addrs: s.addrs(), HeartbeatFrequency: 50 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { _ = s.ring.Close() })
	s.Client = tracedpubsub.Wrap(s.ring, tracedpubsub.WithErrorHandler(s.reports.handle))
}

func (s *ringSubject) addrs() map[string]string {
	addrs := make(map[string]string)
	for name, server := range s.servers {
		addrs[name] = server.Addr()
	}
	return addrs
}

// owner is the name of the server that the Ring has for a channel.
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
	t.Fatalf("%s belongs to a stranger", channel)
	return ""
}

// connections are how many connections subscribe on each server that runs.
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

// waitForShards waits until the Ring has so many servers that are up.
func (s *ringSubject) waitForShards(t *testing.T, n int) {
	t.Helper()
	eventuallyHolds(t, fmt.Sprintf("%d servers are up", n), func() bool { return s.ring.Len() == n })
}

// waitForOwners waits until each channel is listened to at its owner and nowhere
// else.
func (s *ringSubject) waitForOwners(t *testing.T, channels ...string) {
	t.Helper()
	for _, channel := range channels {
		eventuallyHolds(t, channel+" is listened to at its owner alone", func() bool {
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
	mustBeReady(t, sub)
	return sub
}

// assertHears publishes through the Ring and asserts that each message comes.
func (s *ringSubject) assertHears(t *testing.T, sub *tracedpubsub.PubSub, publish func(ctx context.Context, channel string, payload any) *redis.IntCmd, channels ...string) {
	t.Helper()
	for _, channel := range channels {
		if err := publish(t.Context(), channel, channel).Err(); err != nil {
			t.Fatalf("publish on %s: %v", channel, err)
		}
	}
	assertReceivesAll(t, sub, channels...)
}

func TestRingRoutes(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	ctx := testContext(t)
	channels := make([]string, 50)
	for i := range channels {
		channels[i] = fmt.Sprintf("channel-%d", i)
	}
	for _, tt := range []struct {
		name, reason string
		subscribe    func(ctx context.Context, names ...string) *tracedpubsub.PubSub
		publish      []func(ctx context.Context, channel string, payload any) *redis.IntCmd
	}{
		{"channels", "Ring.Subscribe uses the server of the first for all", s.Subscribe,
			[]func(context.Context, string, any) *redis.IntCmd{s.Publish, s.ring.Publish}},
		{"sharded channels", "they are routed in the same way", s.SSubscribe,
			[]func(context.Context, string, any) *redis.IntCmd{s.SPublish, s.ring.SPublish}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sub := s.ready(t, tt.subscribe(ctx, channels...))
			for _, publish := range tt.publish {
				s.assertHears(t, sub, publish, channels...)
			}
			if got, want := s.connections(t), "0: 1, 1: 1, 2: 1"; got != want {
				t.Errorf("%s: connections are %s, want %s", tt.reason, got, want)
			}
			if err := sub.Ping(ctx); err != nil {
				t.Errorf("Ping: %v", err)
			}
			_ = sub.Close()
			eventuallyHolds(t, "no connection is left", func() bool { return s.connections(t) == "0: 0, 1: 0, 2: 0" })
		})
	}
	t.Run("patterns", func(t *testing.T) {
		sub := s.ready(t, s.PSubscribe(ctx, "channel-*", "channel-?"))
		s.assertHears(t, sub, s.Publish, channels[10:]...) // of one pattern only
		if got, want := s.connections(t), "0: 1, 1: 1, 2: 1"; got != want {
			t.Errorf("connections are %s, want %s", got, want)
		}
		if got, want := sub.String(), "PubSub(channel-*, channel-?)"; got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
		if err := sub.PUnsubscribe(ctx); err != nil {
			t.Fatal(err)
		}
		eventuallyHolds(t, "no connection is left", func() bool { return s.connections(t) == "0: 0, 1: 0, 2: 0" })
	})
	if got := s.reports.all(); len(got) > 0 {
		t.Errorf("nothing went wrong, but reported was %v", printed(got))
	}
}

// The Ring gives the names of a server that is down to the others, and back.
func TestRingServerDownAndUp(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	ctx := testContext(t)
	channels := make([]string, 20)
	for i := range channels {
		channels[i] = fmt.Sprintf("channel-%d", i)
	}
	down := s.owner(t, channels[0])
	sub := s.ready(t, s.Subscribe(ctx, channels...))
	if err := sub.PSubscribe(ctx, "pattern*"); err != nil {
		t.Fatal(err)
	}
	mustBeReady(t, sub)
	patterns := []string{"pattern-0", "pattern-1", "pattern-2", "pattern-3", "pattern-4", "pattern-5"}
	s.assertHears(t, sub, s.Publish, append(patterns, channels...)...)

	s.servers[down].Kill()
	s.waitForShards(t, 2)
	s.waitForOwners(t, channels...)
	s.assertHears(t, sub, s.Publish, append(patterns, channels...)...)
	s.reports.first(t, "receive", channels[0])
	eventuallyHolds(t, "nothing is asked for on the server that is down", func() bool {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		return sub.Ready(ctx) == nil
	})

	s.servers[down].Restart()
	s.waitForShards(t, 3)
	s.waitForOwners(t, channels...)
	eventuallyHolds(t, "the pattern is subscribed to again", func() bool {
		return s.admins[down].PubSubNumPat(ctx).Val() == 1
	})
	mustBeReady(t, sub)
	s.assertHears(t, sub, s.Publish, append(patterns, channels...)...)
	s.reports.first(t, "unsubscribe", channels[0])
	if got, want := s.connections(t), "0: 1, 1: 1, 2: 1"; got != want {
		t.Errorf("connections are %s, want %s", got, want)
	}
}

func TestRingAllDown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string
		subscribe    func(s *ringSubject, ctx context.Context) *tracedpubsub.PubSub
	}{
		{"channels", "go-redis panics", func(s *ringSubject, ctx context.Context) *tracedpubsub.PubSub { return s.Subscribe(ctx, "a", "b", "c") }},
		{"patterns", "there is nobody to ask", func(s *ringSubject, ctx context.Context) *tracedpubsub.PubSub { return s.PSubscribe(ctx, "?") }},
		{"sharded channels", "go-redis panics", func(s *ringSubject, ctx context.Context) *tracedpubsub.PubSub {
			return s.SSubscribe(ctx, "a", "b", "c")
		}},
	} {
		for _, noticed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, noticed %v", tt.name, noticed), func(t *testing.T) {
				s := newRingSubject(t)
				for _, server := range s.servers {
					server.Kill()
				}
				if noticed {
					s.waitForShards(t, 0)
				}
				sub := tt.subscribe(s, testContext(t))
				t.Cleanup(func() { _ = sub.Close() })
				var err error
				returnsPromptly(t, "Ready of a Ring that is down", func() { err = sub.Ready(testContext(t)) })
				e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err)
				if !ok || len(e.Names) == 0 {
					t.Fatalf("%s: Ready: %v, want a SubscriptionError about the names", tt.reason, err)
				}
				s.reports.wait(t, "that nobody is there", func(got []trouble) bool { return len(got) > 0 })
				for _, server := range s.servers {
					server.Restart()
				}
				s.waitForShards(t, 3)
				publish := s.Publish
				if tt.name == "sharded channels" {
					publish = s.SPublish
				}
				mustBeReadyAgain(t, sub)
				s.waitForConnections(t, sub)
				s.assertHears(t, sub, publish, "a", "b", "c")
			})
		}
	}
}

// waitForConnections waits until what sub wants is asked for where it belongs.
func (s *ringSubject) waitForConnections(t *testing.T, sub *tracedpubsub.PubSub) {
	t.Helper()
	eventuallyHolds(t, "each name is heard", func() bool {
		patterns, heard := 0, make(map[string]bool)
		for name, admin := range s.admins {
			patterns += int(admin.PubSubNumPat(t.Context()).Val())
			for _, channel := range []string{"a", "b", "c"} {
				n := admin.PubSubNumSub(t.Context(), channel).Val()[channel] + admin.PubSubShardNumSub(t.Context(), channel).Val()[channel]
				heard[channel] = heard[channel] || n == 1 && s.owner(t, channel) == name
			}
		}
		if sub.String() == "PubSub(?)" {
			return patterns == 3
		}
		return heard["a"] && heard["b"] && heard["c"]
	})
}

func TestRingWithoutAName(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	for _, tt := range []struct {
		name      string
		subscribe func(ctx context.Context, names ...string) *tracedpubsub.PubSub
	}{
		{"channels", s.Subscribe}, {"patterns", s.PSubscribe}, {"sharded channels", s.SSubscribe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := testContext(t)
			sub := tt.subscribe(ctx)
			defer sub.Close()
			if e, ok := errors.AsType[*tracedpubsub.SubscriptionError](sub.Ready(ctx)); !ok || !strings.HasSuffix(e.Op, "subscribe") {
				t.Errorf("Ready: %v, want a SubscriptionError", e)
			}
			if err := sub.Subscribe(ctx, "a", "b"); err != nil {
				t.Fatal(err)
			}
			mustBeReady(t, sub)
			s.assertHears(t, sub, s.Publish, "a", "b")
		})
	}
	t.Run("a name comes later", func(t *testing.T) {
		ctx := testContext(t)
		sub := s.Subscribe(ctx)
		if err := sub.Subscribe(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		s.ready(t, sub)
		s.assertHears(t, sub, s.Publish, "a")
	})
	t.Run("nobody asks", func(t *testing.T) {
		sub := s.Subscribe(testContext(t))
		defer sub.Close()
		_ = sub.Channel()
		s.reports.wait(t, "that there is no name", func(got []trouble) bool {
			return slices.ContainsFunc(got, func(e trouble) bool { return e.Op == "subscribe" && len(e.Names) == 0 })
		})
	})
}

func TestRingSetAddrs(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	ctx := testContext(t)
	channels := make([]string, 20)
	for i := range channels {
		channels[i] = fmt.Sprintf("channel-%d", i)
	}
	sub := s.ready(t, s.Subscribe(ctx, channels...))
	if err := sub.PSubscribe(ctx, "pattern*"); err != nil {
		t.Fatal(err)
	}
	mustBeReady(t, sub)
	s.addServer(t, "3")
	s.ring.SetAddrs(s.addrs())
	s.waitForOwners(t, channels...)
	eventuallyHolds(t, "the pattern is subscribed to on the new server", func() bool { return s.admins["3"].PubSubNumPat(ctx).Val() == 1 })
	all := append([]string{"pattern-0", "pattern-1", "pattern-2", "pattern-3", "pattern-4", "pattern-5"}, channels...)
	mustBeReady(t, sub)
	s.assertHears(t, sub, s.Publish, all...)

	delete(s.servers, "0") // it runs on
	s.ring.SetAddrs(s.addrs())
	s.waitForOwners(t, channels...)
	eventuallyHolds(t, "the server that was removed is left", func() bool {
		return strings.HasPrefix(s.connections(t), "0: 0")
	})
	eventuallyHolds(t, "nothing is asked for on it any more", func() bool {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		return sub.Ready(ctx) == nil
	})
	s.assertHears(t, sub, s.Publish, all...)
	if got, want := s.connections(t), "0: 0, 1: 1, 2: 1, 3: 1"; got != want {
		t.Errorf("connections are %s, want %s", got, want)
	}
}

// Names come and go while servers do: in the end each is where it belongs, or
// nowhere.
func TestRingNamesChangeWithItsServers(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	ctx := testContext(t)
	all, less := s.addrs(), s.addrs()
	delete(less, "1")
	sub := s.ready(t, s.Subscribe(ctx, "kept"))
	var changing sync.WaitGroup
	changing.Go(func() {
		for range 20 {
			s.ring.SetAddrs(less)
			s.ring.SetAddrs(all)
		}
	})
	goes := make([]string, 20)
	for i := range goes {
		goes[i] = fmt.Sprintf("goes-%d", i)
	}
	for range 30 {
		if err := errors.Join(
			sub.Subscribe(ctx, goes...), sub.PSubscribe(ctx, "goes*", "stays*"),
			sub.Unsubscribe(ctx, goes...), sub.PUnsubscribe(ctx, "goes*"),
		); err != nil {
			t.Fatal(err)
		}
	}
	changing.Wait()
	if got, want := sub.String(), "PubSub(kept, stays*)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	mustBeReadyAgain(t, sub)
	s.waitForOwners(t, "kept")
	eventuallyHolds(t, "one pattern is left, and no channel but one", func() bool {
		for _, admin := range s.admins {
			heard := admin.PubSubNumSub(ctx, goes...).Val()
			if slices.ContainsFunc(goes, func(name string) bool { return heard[name] > 0 }) || admin.PubSubNumPat(ctx).Val() != 1 {
				return false
			}
		}
		return s.connections(t) == "0: 1, 1: 1, 2: 1"
	})
	s.assertHears(t, sub, s.Publish, "kept", "stays-0", "stays-1", "stays-2", "stays-3")
}

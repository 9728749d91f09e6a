// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestRingRoutes(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	ctx := tracetest.Context(t)
	channels := make([]string, 50)
	for i := range channels {
		channels[i] = fmt.Sprintf("channel-%d", i)
	}
	for _, tt := range []struct {
		name, reason string
		subscribe    func(ctx context.Context, topics ...string) *tracedpubsub.PubSub
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
				s.assertDelivers(t, sub, publish, channels...)
			}
			if got, want := s.connections(t), "0: 1, 1: 1, 2: 1"; got != want {
				t.Errorf("%s: connections are %s, want %s", tt.reason, got, want)
			}
			if err := sub.Ping(ctx); err != nil {
				t.Errorf("Ping: %v", err)
			}
			_ = sub.Close()
			tracetest.Eventually(t, "no connection is left", func() bool { return s.connections(t) == "0: 0, 1: 0, 2: 0" })
		})
	}
	t.Run("patterns", func(t *testing.T) {
		sub := s.ready(t, s.PSubscribe(ctx, "channel-*", "channel-?"))
		s.assertDelivers(t, sub, s.Publish, channels[10:]...) // of one pattern only
		if got, want := s.connections(t), "0: 1, 1: 1, 2: 1"; got != want {
			t.Errorf("connections are %s, want %s", got, want)
		}
		if got, want := sub.String(), "PubSub(channel-*, channel-?)"; got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
		if err := sub.PUnsubscribe(ctx); err != nil {
			t.Fatal(err)
		}
		tracetest.Eventually(t, "no connection is left", func() bool { return s.connections(t) == "0: 0, 1: 0, 2: 0" })
	})
	s.reports.AssertNone(t)
}

// The Ring moves the channels of a server that is down to others, and back.
func TestRingServerDownAndUp(t *testing.T) {
	t.Parallel()
	redistest.Long(t)
	s := newRingSubject(t)
	ctx := tracetest.Context(t)
	channels := make([]string, 20)
	for i := range channels {
		channels[i] = fmt.Sprintf("channel-%d", i)
	}
	down := s.owner(t, channels[0])
	sub := s.ready(t, s.Subscribe(ctx, channels...))
	if err := sub.PSubscribe(ctx, "pattern*"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	patterns := []string{"pattern-0", "pattern-1", "pattern-2", "pattern-3", "pattern-4", "pattern-5"}
	s.assertDelivers(t, sub, s.Publish, append(patterns, channels...)...)

	s.servers[down].Kill()
	s.waitForShards(t, 2)
	s.waitForOwners(t, channels...)
	s.assertDelivers(t, sub, s.Publish, append(patterns, channels...)...)
	s.reports.Await(t, "receive", channels[0])
	tracetest.Eventually(t, "nothing is pending on the server that is down", func() bool {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		return sub.Ready(ctx) == nil
	})

	restarted := time.Now()
	s.servers[down].Restart()
	s.waitForShards(t, 3)
	s.waitForOwners(t, channels...)
	tracetest.Eventually(t, "the pattern is subscribed to again", func() bool {
		return s.admins[down].PubSubNumPat(ctx).Val() == 1
	})
	tracetest.WaitReady(t, sub)
	s.assertDelivers(t, sub, s.Publish, append(patterns, channels...)...)
	// The channel moves back, and the pattern is added, at about the same time: either may be
	// the cause that the report names.
	s.reports.DropBefore(restarted)
	s.reports.AwaitRecovery(t, channels[0])
	if got, want := s.connections(t), "0: 1, 1: 1, 2: 1"; got != want {
		t.Errorf("connections are %s, want %s", got, want)
	}
}

func TestRingAllDown(t *testing.T) {
	t.Parallel()
	redistest.Long(t)
	for _, tt := range []struct {
		name, reason string
		subscribe    func(s *ringSubject, ctx context.Context) *tracedpubsub.PubSub
	}{
		{"channels", "go-redis panics", func(s *ringSubject, ctx context.Context) *tracedpubsub.PubSub { return s.Subscribe(ctx, "a", "b", "c") }},
		{"patterns", "there is no server for them", func(s *ringSubject, ctx context.Context) *tracedpubsub.PubSub { return s.PSubscribe(ctx, "?") }},
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
				sub := tt.subscribe(s, tracetest.Context(t))
				t.Cleanup(func() { _ = sub.Close() })
				var err error
				tracetest.ReturnsPromptly(t, "Ready of a Ring that is down", func() { err = sub.Ready(tracetest.Context(t)) })
				e, ok := tracetest.As[*tracedpubsub.SubscriptionError](err)
				if !ok || len(e.Channels) == 0 {
					t.Fatalf("%s: Ready: %v, want a SubscriptionError about the topics", tt.reason, err)
				}
				s.reports.WaitUntil(t, "that no server can be reached", func(got []tracetest.Report) bool { return len(got) > 0 })
				for _, server := range s.servers {
					server.Restart()
				}
				s.waitForShards(t, 3)
				publish := s.Publish
				if tt.name == "sharded channels" {
					publish = s.SPublish
				}
				tracetest.EventuallyReady(t, sub)
				s.waitForConnections(t, sub)
				s.assertDelivers(t, sub, publish, "a", "b", "c")
			})
		}
	}
}

func TestRingWithoutATopic(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	for _, tt := range []struct {
		name      string
		subscribe func(ctx context.Context, topics ...string) *tracedpubsub.PubSub
	}{
		{"channels", s.Subscribe}, {"patterns", s.PSubscribe}, {"sharded channels", s.SSubscribe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := tracetest.Context(t)
			sub := tt.subscribe(ctx)
			defer sub.Close()
			if e, ok := tracetest.As[*tracedpubsub.SubscriptionError](sub.Ready(ctx)); !ok || !strings.HasSuffix(e.Op, "subscribe") {
				t.Errorf("Ready: %v, want a SubscriptionError", e)
			}
			if err := sub.Subscribe(ctx, "a", "b"); err != nil {
				t.Fatal(err)
			}
			tracetest.WaitReady(t, sub)
			s.assertDelivers(t, sub, s.Publish, "a", "b")
		})
	}
	t.Run("a topic comes later", func(t *testing.T) {
		ctx := tracetest.Context(t)
		sub := s.Subscribe(ctx)
		if err := sub.Subscribe(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		s.ready(t, sub)
		s.assertDelivers(t, sub, s.Publish, "a")
	})
	t.Run("nobody calls Ready", func(t *testing.T) {
		sub := s.Subscribe(tracetest.Context(t))
		defer sub.Close()
		_ = sub.Channel()
		s.reports.WaitUntil(t, "that there is no topic", func(got []tracetest.Report) bool {
			return slices.ContainsFunc(got, func(e tracetest.Report) bool { return e.Op == "subscribe" && len(e.Channels) == 0 })
		})
	})
}

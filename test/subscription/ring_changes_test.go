// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestRingSetAddrs(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	ctx := tracetest.Context(t)
	channels := make([]string, 20)
	for i := range channels {
		channels[i] = fmt.Sprintf("channel-%d", i)
	}
	sub := s.ready(t, s.Subscribe(ctx, channels...))
	if err := sub.PSubscribe(ctx, "pattern*"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	s.addServer(t, "3")
	s.ring.SetAddrs(s.addrs())
	s.waitForOwners(t, channels...)
	tracetest.Eventually(t, "the pattern is subscribed to on the new server", func() bool { return s.admins["3"].PubSubNumPat(ctx).Val() == 1 })
	all := append([]string{"pattern-0", "pattern-1", "pattern-2", "pattern-3", "pattern-4", "pattern-5"}, channels...)
	tracetest.WaitReady(t, sub)
	s.assertDelivers(t, sub, s.Publish, all...)

	delete(s.servers, "0") // it runs on
	s.ring.SetAddrs(s.addrs())
	s.waitForOwners(t, channels...)
	tracetest.Eventually(t, "the server that was removed has no subscription", func() bool {
		return strings.HasPrefix(s.connections(t), "0: 0")
	})
	tracetest.Eventually(t, "nothing is pending on it any more", func() bool {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		return sub.Ready(ctx) == nil
	})
	s.assertDelivers(t, sub, s.Publish, all...)
	if got, want := s.connections(t), "0: 0, 1: 1, 2: 1, 3: 1"; got != want {
		t.Errorf("connections are %s, want %s", got, want)
	}
}

// Topics and servers are added and removed at the same time. In the end each topic is
// subscribed to where it belongs.
func TestRingTopicsChangeWithItsServers(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	ctx := tracetest.Context(t)
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
	tracetest.EventuallyReady(t, sub)
	s.waitForOwners(t, "kept")
	tracetest.Eventually(t, "one pattern is left, and no channel but one", func() bool {
		for _, admin := range s.admins {
			subscribers := admin.PubSubNumSub(ctx, goes...).Val()
			if slices.ContainsFunc(goes, func(channel string) bool { return subscribers[channel] > 0 }) || admin.PubSubNumPat(ctx).Val() != 1 {
				return false
			}
		}
		return s.connections(t) == "0: 1, 1: 1, 2: 1"
	})
	s.assertDelivers(t, sub, s.Publish, "kept", "stays-0", "stays-1", "stays-2", "stays-3")
}

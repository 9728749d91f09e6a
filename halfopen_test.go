// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// proxied starts a server, and a subject that reaches it through a proxy.
func proxied(t *testing.T, opts ...tracedpubsub.Option) (*redistest.Proxy, *subject, *redis.Client) {
	t.Helper()
	server, rdb := startServer(t, unlimited...)
	proxy := redistest.NewProxy(t, server.Addr())
	return proxy, newSubject(t, proxy.Addr(), opts...), rdb
}

// A peer that vanished says nothing, not even that it has gone.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	const noticed = 20 * time.Second
	proxy, s, rdb := proxied(t)
	sub := s.subscribed(t, "a", "b")
	publishRaw(t, rdb, "a", "before")
	assertReceives(t, sub, "before")
	before := proxy.Accepted()

	proxy.DropSilently()
	dropped := time.Now()
	publishRaw(t, rdb, "a", "nobody gets this")
	proxy.WaitAccepted(before + 1)
	if took := time.Since(dropped); took > noticed {
		t.Errorf("noticed after %v, want %v", took, noticed)
	}
	mustBeReadyAgain(t, sub)
	publishRaw(t, rdb, "b", "after")
	assertReceives(t, sub, "after")
	got := s.reports.first(t, "receive", "b")
	if began := got.at.Add(-got.Downtime); began.After(dropped) {
		t.Errorf("reported was %v, which leaves out %v", got.Error(), began.Sub(dropped))
	}
}

// What stands still here is the consumer. The server has sent all it has, and
// waits: that is no silence.
func TestSlowConsumerIsNoDeadServer(t *testing.T) {
	t.Parallel()
	const pause = 22 * time.Second // more than any peer may be silent
	proxy, s, rdb := proxied(t, tracedpubsub.WithChannelSize(0))
	sub := s.subscribed(t, "a")
	before := proxy.Accepted()
	const messages = 5000
	publishRaw(t, rdb, "a", numbered(0, messages)...)
	assertReceives(t, sub, "0")
	lasting(pause) // is what this is about: nothing is to happen
	assertReceives(t, sub, numbered(1, messages-1)...)
	publishRaw(t, rdb, "a", "after")
	assertReceives(t, sub, "after")
	if got := proxy.Accepted(); got != before {
		t.Errorf("%d connections more than before, want none", got-before)
	}
	if got := s.reports.all(); len(got) > 0 {
		t.Errorf("nothing went wrong, but reported was %v", printed(got))
	}
}

// Nor is it one when the error handler takes its time, on the goroutine that
// reads.
func TestSlowErrorHandlerIsNoDeadServer(t *testing.T) {
	t.Parallel()
	const pause = 22 * time.Second // more than any peer may be silent
	server, admin := startServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "default", "resetchannels", "&a").Err(); err != nil {
		t.Fatal(err)
	}
	var handled, lost atomic.Int64
	s := newSubject(t, proxy.Addr(), tracedpubsub.WithErrorHandler(func(err error) {
		var e *tracedpubsub.SubscriptionError
		if errors.As(err, &e) && e.Op == "receive" {
			lost.Add(1)
		}
		if handled.Add(1) == 1 {
			lasting(pause) // is what this is about
		}
	}))
	sub := s.subscribe(t, "a", "forbidden")
	sub.Channel() // begins to read
	waitForListeners(t, admin, "a", 1)
	publishRaw(t, admin, "a", "1")
	assertReceives(t, sub, "1")
	publishRaw(t, admin, "a", "2")
	assertReceives(t, sub, "2")
	if handled.Load() == 0 {
		t.Error("nothing was reported, want the refusal")
	}
	if n := lost.Load(); n > 0 {
		t.Errorf("%d connections were lost, want none", n)
	}
}

// A message of which something comes all the time, though it takes long, is no
// silence either.
func TestTricklingMessage(t *testing.T) {
	t.Parallel()
	const size, seconds = 1 << 20, 13
	proxy, s, rdb := proxied(t)
	sub := s.subscribed(t, "a")
	before := proxy.Accepted()
	proxy.Throttle(size / seconds)
	large := strings.Repeat("x", size)
	began := time.Now()
	publishRaw(t, rdb, "a", large, "small")
	assertReceives(t, sub, large)
	if took := time.Since(began); took < 10*time.Second {
		t.Fatalf("it took %v only: this tests nothing", took)
	}
	proxy.Heal()
	assertReceives(t, sub, "small")
	if got := proxy.Accepted(); got != before {
		t.Errorf("%d connections more than before, want none", got-before)
	}
	if got := s.reports.all(); len(got) > 0 {
		t.Errorf("nothing went wrong, but reported was %v", printed(got))
	}
}

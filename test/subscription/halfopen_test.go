// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// proxied starts a server, and a subject that connects to it through a proxy.
func proxied(t *testing.T, opts ...tracedpubsub.Option) (*redistest.Proxy, *tracetest.Subject, *redis.Client) {
	t.Helper()
	server, rdb := tracetest.StartServer(t, tracetest.Unlimited...)
	proxy := redistest.NewProxy(t, server.Addr())
	return proxy, tracetest.NewSubject(t, proxy.Addr(), opts...), rdb
}

// A peer that has vanished does not even close the connection.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	redistest.Long(t)
	const limit = 20 * time.Second
	proxy, s, rdb := proxied(t)
	sub := s.ReadySubscription(t, "a", "b")
	tracetest.PublishRaw(t, rdb, "a", "before")
	tracetest.AssertReceives(t, sub, "before")
	before := proxy.Accepted()

	proxy.DropSilently()
	dropped := time.Now()
	tracetest.PublishRaw(t, rdb, "a", "nobody gets this")
	proxy.WaitAccepted(before + 1)
	if took := time.Since(dropped); took > limit {
		t.Errorf("noticed after %v, want %v", took, limit)
	}
	tracetest.EventuallyReady(t, sub)
	tracetest.PublishRaw(t, rdb, "b", "after")
	tracetest.AssertReceives(t, sub, "after")
	got := s.Reports.WaitFor(t, "receive", "b")
	if began := got.At.Add(-got.Downtime); began.After(dropped) {
		t.Errorf("reported was %v, the downtime of which lacks %v", got.Error(), began.Sub(dropped))
	}
}

// A slow consumer is not a dead server: the server is not silent, its messages wait.
func TestSlowConsumerIsNoDeadServer(t *testing.T) {
	t.Parallel()
	redistest.Long(t)
	const pause = 22 * time.Second // longer than a server may be silent
	proxy, s, rdb := proxied(t, tracedpubsub.WithChannelSize(0))
	sub := s.ReadySubscription(t, "a")
	before := proxy.Accepted()
	const messages = 5000
	tracetest.PublishRaw(t, rdb, "a", tracetest.Numbered(0, messages)...)
	tracetest.AssertReceives(t, sub, "0")
	tracetest.LetTimePass(pause) // nothing may happen
	tracetest.AssertReceives(t, sub, tracetest.Numbered(1, messages-1)...)
	tracetest.PublishRaw(t, rdb, "a", "after")
	tracetest.AssertReceives(t, sub, "after")
	if got := proxy.Accepted(); got != before {
		t.Errorf("%d connections more than before, want none", got-before)
	}
	s.Reports.AssertNone(t)
}

// Nor is the server dead while the error handler runs, which is called on the goroutine
// that reads.
func TestSlowErrorHandlerIsNoDeadServer(t *testing.T) {
	t.Parallel()
	redistest.Long(t)
	const pause = 22 * time.Second // longer than a server may be silent
	server, admin := tracetest.StartServer(t)
	proxy := redistest.NewProxy(t, server.Addr())
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "default", "resetchannels", "&a").Err(); err != nil {
		t.Fatal(err)
	}
	var handled, lost atomic.Int64
	s := tracetest.NewSubject(t, proxy.Addr(), tracedpubsub.WithErrorHandler(func(err error) {
		var e *tracedpubsub.SubscriptionError
		if errors.As(err, &e) && e.Op == "receive" {
			lost.Add(1)
		}
		if handled.Add(1) == 1 {
			tracetest.LetTimePass(pause)
		}
	}))
	sub := s.Subscription(t, "a", "forbidden")
	sub.Channel() // begins to read
	tracetest.WaitForSubscribers(t, admin, "a", 1)
	tracetest.PublishRaw(t, admin, "a", "1")
	tracetest.AssertReceives(t, sub, "1")
	tracetest.PublishRaw(t, admin, "a", "2")
	tracetest.AssertReceives(t, sub, "2")
	if handled.Load() == 0 {
		t.Error("nothing was reported, want the refusal")
	}
	if n := lost.Load(); n > 0 {
		t.Errorf("%d connections were lost, want none", n)
	}
}

// Nor is it dead while a large message arrives slowly.
func TestTricklingMessage(t *testing.T) {
	t.Parallel()
	redistest.Long(t)
	const size, seconds = 1 << 20, 13
	proxy, s, rdb := proxied(t)
	sub := s.ReadySubscription(t, "a")
	before := proxy.Accepted()
	proxy.Throttle(size / seconds)
	large := strings.Repeat("x", size)
	began := time.Now()
	tracetest.PublishRaw(t, rdb, "a", large, "small")
	tracetest.AssertReceives(t, sub, large)
	if took := time.Since(began); took < 10*time.Second {
		t.Fatalf("it took only %v: the test proves nothing", took)
	}
	proxy.Heal()
	tracetest.AssertReceives(t, sub, "small")
	if got := proxy.Accepted(); got != before {
		t.Errorf("%d connections more than before, want none", got-before)
	}
	s.Reports.AssertNone(t)
}

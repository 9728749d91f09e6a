// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

func TestADeadAddress(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		heard        func(t *testing.T, s *subject, sub *tracedpubsub.PubSub) error
	}{
		{"Ready", "who asks gets the answer", func(t *testing.T, _ *subject, sub *tracedpubsub.PubSub) error {
			return sub.Ready(testContext(t))
		}},
		{"Ready while others read", "no matter who made it begin", func(t *testing.T, _ *subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			return sub.Ready(testContext(t))
		}},
		{"error handler", "nobody has asked", func(t *testing.T, s *subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			return s.reports.first(t, "connect", "a").SubscriptionError
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := startServer(t)
			server.Kill()
			s := newSubject(t, server.Addr())
			sub := s.subscribe(t, "a")
			err := tt.heard(t, s, sub)
			e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err)
			if !ok || e.Op != "connect" || !slices.Equal(e.Channels, []string{"a"}) || e.Count != 1 {
				t.Errorf("%s: %#v, want a SubscriptionError about a", tt.reason, err)
			}
			if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%v: the cause is out of reach", err)
			}
			server.Restart()
			waitForListeners(t, rdb, "a", 1)
			publishRaw(t, rdb, "a", "at last")
			assertReceives(t, sub, "at last")
		})
	}
}

// Repeats are counted, and reported at most once a second.
func TestRepeatsAreCounted(t *testing.T) {
	server, _ := startServer(t)
	s := newSubject(t, server.Addr())
	s.subscribed(t, "a")
	server.Kill()
	got := s.reports.wait(t, "the third report of connecting in vain", func(got []trouble) bool { return len(got) >= 3 })
	total := 0
	for i, e := range got[:3] {
		total += e.Count
		if e.Op != "connect" || !errors.Is(e, syscall.ECONNREFUSED) {
			t.Errorf("report %d is %v, want a connection refused", i, e.Error())
		}
		if i > 0 && e.at.Sub(got[i-1].at) < 900*time.Millisecond {
			t.Errorf("report %d came %v after the one before", i, e.at.Sub(got[i-1].at))
		}
		if i > 0 && e.Downtime <= got[i-1].Downtime {
			t.Errorf("report %d says deaf for %v, the one before said %v", i, e.Downtime, got[i-1].Downtime)
		}
	}
	if got[0].Count != 1 || got[1].Count < 2 {
		t.Errorf("counts are %d and %d, want 1 for the first and the rest of its second for the next", got[0].Count, got[1].Count)
	}
	// 10, 20, 40, … ms with jitter: not so few that nobody tried, nor so many that it burns.
	if total < 4 || total > 20 {
		t.Errorf("%d attempts in two seconds", total)
	}
}

// A server that accepts and says nothing fails within the timeouts of the
// client, to whoever asks, and again and again.
func TestAServerThatNeverAnswers(t *testing.T) {
	var awake atomic.Bool
	fake := startFakeRedis(t, func(c *fakeConn, command []string) {
		if awake.Load() {
			c.answerIf(command, true)
		}
	})
	const timeout = 200 * time.Millisecond
	s := subjectOf(t, &redis.Options{Addr: fake.addr(), DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout})
	sub := s.subscribe(t, "a")
	for _, when := range []string{"the attempt of Subscribe", "the next one"} {
		err := sub.Ready(testContext(t))
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
			t.Errorf("Ready, %s: %v, want a timeout", when, err)
		}
		if e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err); !ok || e.Op != "connect" {
			t.Errorf("Ready, %s: %v, want a SubscriptionError about connecting", when, err)
		}
	}
	got := s.reports.first(t, "connect", "a")
	if e, ok := errors.AsType[net.Error](got); !ok || !e.Timeout() {
		t.Errorf("reported was %v, want a timeout", got.Error())
	}
	awake.Store(true)
	assertReceives(t, sub, "healthy")

	// Each failure is heard of once, from Ready or the error handler, and so is the end of it all.
	_ = sub.Close()
	eventuallyHolds(t, "no goroutine is left", func() bool { return len(libraryGoroutines()) == 0 })
	total := 0
	for _, e := range s.reports.all() {
		total += e.Count
	}
	if failures := fake.connections() - 1; total != failures-2+1 {
		t.Errorf("%d reports, want %d less the two that Ready returned, and one that it is over: %v", total, failures, printed(s.reports.all()))
	}
}

// Each time another port of ours is in the text of the error, but it is the same
// failure.
func TestRepeatedTimeoutsAreOneFailure(t *testing.T) {
	const timeout, attempts = 20 * time.Millisecond, 8
	fake := startFakeRedis(t, func(*fakeConn, []string) {})
	s := subjectOf(t, &redis.Options{Addr: fake.addr(), DialTimeout: time.Second, ReadTimeout: timeout, WriteTimeout: timeout})
	began := time.Now()
	sub := s.subscribe(t, "a")
	_ = sub.Channel()
	eventuallyHolds(t, "there were several attempts", func() bool { return fake.connections() > attempts })
	_ = sub.Close()
	eventuallyHolds(t, "no goroutine is left", func() bool { return len(libraryGoroutines()) == 0 })
	got, took := s.reports.all(), time.Since(began)
	total := 0
	for _, e := range got {
		if cause, ok := errors.AsType[net.Error](e.Err); !ok || !cause.Timeout() {
			t.Errorf("reported was %v, want a timeout", e.Error())
		}
		total += e.Count
	}
	if total < attempts {
		t.Errorf("%d failures were reported, want at least %d: %v", total, attempts, printed(got))
	}
	// At once, at the end of each second, and what is left at the end.
	if most := int(took/time.Second) + 2; len(got) > most {
		t.Errorf("%d reports in %v, want at most %d: %v", len(got), took, most, printed(got))
	}
}

// A resolver that is down says so with another port of ours each time.
func TestRepeatedLookupsAreOneFailure(t *testing.T) {
	const attempts = 8
	var lookups atomic.Int32
	s := subjectOf(t, &redis.Options{Addr: "redis:6379", MaxRetries: -1, DialerRetries: 1,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			port := 40000 + lookups.Add(1)
			return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{
				Err:  fmt.Sprintf("read udp 127.0.0.1:%d->127.0.0.53:53: read: connection refused", port),
				Name: "redis", Server: "127.0.0.53:53",
			}}
		}})
	began := time.Now()
	sub := s.subscribe(t, "a")
	_ = sub.Channel()
	eventuallyHolds(t, "there were several attempts", func() bool { return lookups.Load() >= attempts })
	_ = sub.Close()
	eventuallyHolds(t, "no goroutine is left", func() bool { return len(libraryGoroutines()) == 0 })
	got, took := s.reports.all(), time.Since(began)
	// At once, at the end of each second, and what is left at the end.
	if most := int(took/time.Second) + 2; len(got) > most {
		t.Errorf("%d reports in %v, want at most %d: %v", len(got), took, most, printed(got))
	}
	if _, ok := errors.AsType[*net.DNSError](got[0]); !ok {
		t.Errorf("reported was %v, want the error of the lookup", got[0])
	}
}

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
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestADeadAddress(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		heard        func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error
	}{
		{"Ready", "who asks gets the answer", func(t *testing.T, _ *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			return sub.Ready(tracetest.Context(t))
		}},
		{"Ready while others read", "no matter who made it begin", func(t *testing.T, _ *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			return sub.Ready(tracetest.Context(t))
		}},
		{"error handler", "nobody has asked", func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			return s.Reports.WaitFor(t, "connect", "a").SubscriptionError
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			server.Kill()
			s := tracetest.NewSubject(t, server.Addr())
			sub := s.Subscription(t, "a")
			err := tt.heard(t, s, sub)
			e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err)
			if !ok || e.Op != "connect" || !slices.Equal(e.Channels, []string{"a"}) || e.Count != 1 {
				t.Errorf("%s: %#v, want a SubscriptionError about a", tt.reason, err)
			}
			if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%v: the cause is out of reach", err)
			}
			server.Restart()
			tracetest.WaitForSubscribers(t, rdb, "a", 1)
			tracetest.PublishRaw(t, rdb, "a", "at last")
			tracetest.AssertReceives(t, sub, "at last")
		})
	}
}

// Repeats are counted, and reported at most once a second.
func TestRepeatsAreCounted(t *testing.T) {
	server, _ := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	s.ReadySubscription(t, "a")
	server.Kill()
	got := s.Reports.WaitUntil(t, "the third report of connecting in vain", func(got []tracetest.Report) bool { return len(got) >= 3 })
	total := 0
	for i, e := range got[:3] {
		total += e.Count
		if e.Op != "connect" || !errors.Is(e, syscall.ECONNREFUSED) {
			t.Errorf("report %d is %v, want a connection refused", i, e.Error())
		}
		if i > 0 && e.At.Sub(got[i-1].At) < 900*time.Millisecond {
			t.Errorf("report %d came %v after the one before", i, e.At.Sub(got[i-1].At))
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
	fake := tracetest.StartFakeRedis(t, func(c *tracetest.FakeConn, command []string) {
		if awake.Load() {
			answerIf(c, command, true)
		}
	})
	const timeout = 200 * time.Millisecond
	s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: fake.Addr(), DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout})
	sub := s.Subscription(t, "a")
	for _, when := range []string{"the attempt of Subscribe", "the next one"} {
		err := sub.Ready(tracetest.Context(t))
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
			t.Errorf("Ready, %s: %v, want a timeout", when, err)
		}
		if e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err); !ok || e.Op != "connect" {
			t.Errorf("Ready, %s: %v, want a SubscriptionError about connecting", when, err)
		}
	}
	got := s.Reports.WaitFor(t, "connect", "a")
	if e, ok := errors.AsType[net.Error](got); !ok || !e.Timeout() {
		t.Errorf("reported was %v, want a timeout", got.Error())
	}
	awake.Store(true)
	tracetest.AssertReceives(t, sub, "healthy")

	// Each failure is heard of once, from Ready or the error handler, and so is the end of it all.
	_ = sub.Close()
	tracetest.WaitForNoGoroutines(t)
	total := 0
	for _, e := range s.Reports.All() {
		total += e.Count
	}
	if failures := fake.Connections() - 1; total != failures-2+1 {
		t.Errorf("%d reports, want %d less the two that Ready returned, and one that it is over: %v", total, failures, tracetest.Texts(s.Reports.All()))
	}
}

// Each time another port of ours is in the text of the error, but it is the same
// failure.
func TestRepeatedTimeoutsAreOneFailure(t *testing.T) {
	const timeout, attempts = 20 * time.Millisecond, 8
	fake := tracetest.StartFakeRedis(t, func(*tracetest.FakeConn, []string) {})
	s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: fake.Addr(), DialTimeout: time.Second, ReadTimeout: timeout, WriteTimeout: timeout})
	began := time.Now()
	sub := s.Subscription(t, "a")
	_ = sub.Channel()
	tracetest.Eventually(t, "there were several attempts", func() bool { return fake.Connections() > attempts })
	_ = sub.Close()
	tracetest.WaitForNoGoroutines(t)
	got, took := s.Reports.All(), time.Since(began)
	total := 0
	for _, e := range got {
		if cause, ok := errors.AsType[net.Error](e.Err); !ok || !cause.Timeout() {
			t.Errorf("reported was %v, want a timeout", e.Error())
		}
		total += e.Count
	}
	if total < attempts {
		t.Errorf("%d failures were reported, want at least %d: %v", total, attempts, tracetest.Texts(got))
	}
	// At once, at the end of each second, and what is left at the end.
	if most := int(took/time.Second) + 2; len(got) > most {
		t.Errorf("%d reports in %v, want at most %d: %v", len(got), took, most, tracetest.Texts(got))
	}
}

// A resolver that is down says so with another port of ours each time.
func TestRepeatedLookupsAreOneFailure(t *testing.T) {
	const attempts = 8
	var lookups atomic.Int32
	s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: "redis:6379", MaxRetries: -1, DialerRetries: 1,
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
	sub := s.Subscription(t, "a")
	_ = sub.Channel()
	tracetest.Eventually(t, "there were several attempts", func() bool { return lookups.Load() >= attempts })
	_ = sub.Close()
	tracetest.WaitForNoGoroutines(t)
	got, took := s.Reports.All(), time.Since(began)
	// At once, at the end of each second, and what is left at the end.
	if most := int(took/time.Second) + 2; len(got) > most {
		t.Errorf("%d reports in %v, want at most %d: %v", len(got), took, most, tracetest.Texts(got))
	}
	if _, ok := errors.AsType[*net.DNSError](got[0]); !ok {
		t.Errorf("reported was %v, want the error of the lookup", got[0])
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A server that accepts connections and never replies is a failure within the timeouts
// of the client, for Ready and for the error handler, and at each attempt.
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
		if e, ok := tracetest.As[net.Error](err); !ok || !e.Timeout() {
			t.Errorf("Ready, %s: %v, want a timeout", when, err)
		}
		if e, ok := tracetest.As[*tracedpubsub.SubscriptionError](err); !ok || e.Op != "connect" {
			t.Errorf("Ready, %s: %v, want a SubscriptionError about connecting", when, err)
		}
	}
	got := s.Reports.WaitFor(t, "connect", "a")
	if e, ok := tracetest.As[net.Error](got); !ok || !e.Timeout() {
		t.Errorf("reported was %v, want a timeout", got.Error())
	}
	awake.Store(true)
	tracetest.AssertReceives(t, sub, "healthy")

	// Each failure is returned by Ready or reported, once, and so is the recovery.
	_ = sub.Close()
	tracetest.WaitForNoGoroutines(t)
	total := 0
	for _, e := range s.Reports.All() {
		total += e.Count
	}
	if failures := fake.Connections() - 1; total != failures-2+1 {
		t.Errorf("%d failures were reported, want %d less the two that Ready returned, and the recovery: %v", total, failures, tracetest.Texts(s.Reports.All()))
	}
}

// The text of the error has another local port each time, but it is the same failure.
func TestRepeatedTimeoutsAreOneFailure(t *testing.T) {
	const timeout, attempts = 20 * time.Millisecond, 8
	fake := tracetest.StartFakeRedis(t, func(*tracetest.FakeConn, []string) {})
	s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: fake.Addr(), DialTimeout: time.Second, ReadTimeout: timeout, WriteTimeout: timeout})
	got := reportsOfOneFailure(t, s, func() bool { return fake.Connections() > attempts })
	total := 0
	for _, e := range got {
		if cause, ok := tracetest.As[net.Error](e.Err); !ok || !cause.Timeout() {
			t.Errorf("reported was %v, want a timeout", e.Error())
		}
		total += e.Count
	}
	if total < attempts {
		t.Errorf("%d failures were reported, want at least %d: %v", total, attempts, tracetest.Texts(got))
	}
}

// The text of the error of a resolver that is down has another local port each time.
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
	got := reportsOfOneFailure(t, s, func() bool { return lookups.Load() >= attempts })
	if _, ok := tracetest.As[*net.DNSError](got[0]); !ok {
		t.Errorf("reported was %v, want the error of the lookup", got[0])
	}
}

// reportsOfOneFailure subscribes, waits until there were enough attempts, closes the
// subscription, and returns its reports. It asserts that they are as many as those of one
// failure that repeats.
func reportsOfOneFailure(t *testing.T, s *tracetest.Subject, enough func() bool) []tracetest.Report {
	t.Helper()
	began := time.Now()
	sub := s.Subscription(t, "a")
	_ = sub.Channel()
	tracetest.Eventually(t, "there were several attempts", enough)
	_ = sub.Close()
	tracetest.WaitForNoGoroutines(t)
	got, took := s.Reports.All(), time.Since(began)
	// One at once, one for each second, and one for the rest.
	if most := int(took/time.Second) + 2; len(got) > most {
		t.Errorf("%d reports in %v, want at most %d: %v", len(got), took, most, tracetest.Texts(got))
	}
	return got
}

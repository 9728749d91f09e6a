// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// dials remembers when a client dialed.
type dials struct {
	mu     sync.Mutex
	at     []time.Time
	failed int
	closed bool // all dials fail
}

func (d *dials) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // go-redis would reconnect by itself, and is not let
	}
	d.mu.Lock()
	d.at = append(d.at, time.Now())
	closed := d.closed
	d.mu.Unlock()
	conn, err := net.Conn(nil), error(syscall.ECONNREFUSED)
	if !closed {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
	}
	if err != nil {
		d.mu.Lock()
		d.failed++
		d.mu.Unlock()
	}
	return conn, err
}

func (d *dials) all() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.at)
}

func (d *dials) failures() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

func (d *dials) close(closed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = closed
}

// A server that is down for a while, and what that costs: an attempt now and
// then.
func TestBackoff(t *testing.T) {
	t.Parallel()
	server, rdb := tracetest.StartServer(t)
	d := new(dials)
	s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Dialer: d.dial})
	sub := s.ReadySubscription(t, "a", "b")
	server.Kill()
	down := time.Now()
	const attempts = 10
	tracetest.Eventually(t, "there were ten attempts", func() bool { return d.failures() >= attempts })

	at := d.all()[1:] // the first connection was good
	unlike := false
	for i := 1; i < attempts; i++ {
		most := min(10*time.Millisecond<<i, time.Second)
		gap := at[i].Sub(at[i-1])
		if gap < most/2 {
			t.Errorf("attempt %d came after %v, want at least %v", i+1, gap, most/2)
		}
		unlike = unlike || gap < most-most/100
	}
	if !unlike {
		t.Errorf("the waits have no jitter: %v", at)
	}
	// Half a second is the shortest of the long waits.
	if n, most := len(d.all())-1, 7+int(time.Since(down)/(500*time.Millisecond)); n > most {
		t.Errorf("%d attempts in %v, want at most %d", n, time.Since(down), most)
	}

	server.Restart()
	up := time.Now()
	tracetest.WaitForSubscribers(t, rdb, "a", 1)
	tracetest.PublishRaw(t, rdb, "a", "first")
	tracetest.AssertReceives(t, sub, "first")
	if took := time.Since(up); took > 2*time.Second {
		t.Errorf("the first message came %v after the server, want 2s", took)
	}
	assertOutage(t, s, d, down, up)
}

// assertOutage asserts that an outage was reported as it was.
func assertOutage(t *testing.T, s *tracetest.Subject, d *dials, down, up time.Time) {
	t.Helper()
	last := s.Reports.WaitFor(t, "receive", "a")
	if began := last.At.Add(-last.Downtime); began.After(down) || last.At.Before(up) {
		t.Errorf("the last report, %v, is not about all the time from %v to %v", last.Error(), down, up)
	}
	failures := 0
	recent := make(map[string]time.Time)
	for _, e := range s.Reports.All() {
		if !slices.Equal(e.Channels, []string{"a", "b"}) || e.Count < 1 || e.Downtime <= 0 || !strings.HasPrefix(e.Error(), "tracedpubsub: ") {
			t.Errorf("reported was %#v", e.SubscriptionError)
		}
		if e.Op == "connect" {
			failures += e.Count
			if _, ok := errors.AsType[*net.OpError](e); !ok || !errors.Is(e, syscall.ECONNREFUSED) {
				t.Errorf("reported was %v, want a connection refused", e.Error())
			}
		}
		if before := recent[e.Op]; e.At.Sub(before) < 900*time.Millisecond {
			t.Errorf("%v was reported %v after the time before", e.Error(), e.At.Sub(before))
		}
		recent[e.Op] = e.At
	}
	// Those of the last second were about to be reported, when they were over.
	if failures > d.failures() || failures < d.failures()/2 {
		t.Errorf("%d failures were reported, there were %d", failures, d.failures())
	}
}

// A thousand names cost no more than one, where nobody can say who owns them.
func testUnreachableCluster(t *testing.T, c *cluster) {
	d := &dials{closed: true}
	s := c.subject(t, func(o *redis.ClusterOptions) {
		o.Dialer, o.DialerRetries, o.MaxRetries = d.dial, 1, -1
	})
	ctx := tracetest.Context(t)
	channels := make([]string, 1000)
	for i := range channels {
		channels[i] = fmt.Sprintf("unreachable-%d", i)
	}
	sub := s.SSubscribe(ctx, channels...)
	t.Cleanup(func() { _ = sub.Close() })
	if n := len(d.all()); n > 30 {
		t.Errorf("%d dials for one attempt", n)
	}
	var err error
	tracetest.ReturnsPromptly(t, "Ready", func() { err = sub.Ready(ctx) })
	e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err)
	if !ok || len(e.Channels) != len(channels) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Ready: %v, want all names", err)
	}
	if err := sub.Subscribe(ctx, "plain"); err != nil {
		t.Errorf("Subscribe: %v", err)
	}
	s.reports.WaitFor(t, "connect", "plain")
	s.reports.WaitFor(t, "connect", channels[0])
	d.close(false)
	tracetest.EventuallyReady(t, sub)
	s.assertSubscriptionsInAll(t, 4) // one of them is for the plain one
	s.assertHears(t, sub, 1, channels[:50]...)
	if err := s.rdb.Publish(ctx, "plain", "plain").Err(); err != nil {
		t.Fatal(err)
	}
	tracetest.AssertReceives(t, sub, "plain")
}

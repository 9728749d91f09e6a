// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// dials is a dialer that keeps the times of its calls.
type dials struct {
	mu     sync.Mutex
	at     []time.Time
	failed int
	closed bool // every dial fails
}

func (d *dials) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // go-redis would reconnect by itself, and must not
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

// While the server is down, the subscription tries to connect at growing intervals with
// jitter.
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

	at := d.all()[1:] // the first one succeeded
	jitter := false
	for i := 1; i < attempts; i++ {
		most := min(10*time.Millisecond<<i, time.Second)
		gap := at[i].Sub(at[i-1])
		if gap < most/2 {
			t.Errorf("attempt %d was made after %v, want at least %v", i+1, gap, most/2)
		}
		jitter = jitter || gap < most-most/100
	}
	if !jitter {
		t.Errorf("the waits have no jitter: %v", at)
	}
	// Half a second is the shortest of the long intervals.
	if n, most := len(d.all())-1, 7+int(time.Since(down)/(500*time.Millisecond)); n > most {
		t.Errorf("%d attempts in %v, want at most %d", n, time.Since(down), most)
	}

	server.Restart()
	up := time.Now()
	tracetest.WaitForSubscribers(t, rdb, "a", 1)
	tracetest.PublishRaw(t, rdb, "a", "first")
	tracetest.AssertReceives(t, sub, "first")
	if took := time.Since(up); took > 2*time.Second {
		t.Errorf("the first message was received %v after the restart, want 2s", took)
	}
	assertOutage(t, s, d, down, up)
}

// assertOutage asserts that the reports agree with an outage from down to up.
func assertOutage(t *testing.T, s *tracetest.Subject, d *dials, down, up time.Time) {
	t.Helper()
	recovery := s.Reports.WaitFor(t, "receive", "a")
	if began := recovery.At.Add(-recovery.Downtime); began.After(down) || recovery.At.Before(up) {
		t.Errorf("the last report, %v, does not cover the time from %v to %v", recovery.Error(), down, up)
	}
	failures := 0
	recent := make(map[string]time.Time)
	for _, e := range s.Reports.All() {
		if !slices.Equal(e.Channels, []string{"a", "b"}) || e.Count < 1 || e.Downtime <= 0 || !strings.HasPrefix(e.Error(), "tracedpubsub: ") {
			t.Errorf("reported was %#v", e.SubscriptionError)
		}
		if e.Op == "connect" {
			failures += e.Count
			if _, ok := tracetest.As[*net.OpError](e); !ok || !errors.Is(e, syscall.ECONNREFUSED) {
				t.Errorf("reported was %v, want a connection refused", e.Error())
			}
		}
		if before := recent[e.Op]; e.At.Sub(before) < 900*time.Millisecond {
			t.Errorf("%v was reported %v after the previous report", e.Error(), e.At.Sub(before))
		}
		recent[e.Op] = e.At
	}
	// Failures of the last second were not reported any more when the outage was over.
	if failures > d.failures() || failures < d.failures()/2 {
		t.Errorf("%d failures were reported, there were %d", failures, d.failures())
	}
}

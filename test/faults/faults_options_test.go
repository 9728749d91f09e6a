// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// dialer is a Dialer of a user that does not heed its context, like those of many tunnels.
type dialer struct {
	hangs atomic.Pointer[chan struct{}] // if set, dial waits until it is closed
}

func (d *dialer) dial(_ context.Context, network, addr string) (net.Conn, error) {
	if hangs := d.hangs.Load(); hangs != nil {
		<-*hangs
	}
	return net.Dial(network, addr)
}

// optionFaults are faults of which clients with certain options make more.
var optionFaults = []fault{{
	name: "cut, with a Dialer that ignores its context", reason: "go-redis dials by itself, before anybody knows of the loss",
	at: withDialer, does: severed.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.Cut()
	},
}, {
	name: "cut, and a black hole, with a Dialer that ignores its context", reason: "nothing ends the attempt to connect early",
	at: withDialer, does: severed.on, within: withinBackoff + clientTimeout,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.BlackHole()
		s.proxy.Cut()
		tracetest.LetTimePass(aWhile)
		s.proxy.Accept()
	},
}, {
	name: "cut, with a Dialer that hangs", reason: "the loss is reported, and calls return, whatever the Dialer does",
	at: withDialer, does: severed.on, within: withinBackoff,
	inflict: func(t *testing.T, s *scene) {
		hangs := make(chan struct{})
		s.dialer.hangs.Store(&hangs)
		defer func() {
			s.dialer.hangs.Store(nil)
			close(hangs)
		}()
		s.proxy.Cut()
		for _, r := range s.rows {
			r.awaitReport(t, tracetest.Patience)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			tracetest.ReturnsPromptly(t, "Subscribe of "+r.name(), func() { _ = r.sub.Subscribe(ctx, "another") })
			tracetest.ReturnsPromptly(t, "Unsubscribe of "+r.name(), func() { _ = r.sub.Unsubscribe(ctx, "another") })
			cancel()
		}
	},
}}

// withDialer is the same as behindProxy, with a Dialer of the user.
func withDialer(t *testing.T, s *scene) {
	t.Helper()
	behindProxy(t, s)
	s.dialer = &dialer{}
	s.clients = clientsOf(s.proxy.Addr(), func(o *redis.UniversalOptions) { o.Dialer = s.dialer.dial })
}

// withoutWriteTimeout is the same as behindProxy, with clients that write for ever.
func withoutWriteTimeout(t *testing.T, s *scene) {
	t.Helper()
	behindProxy(t, s)
	s.clients = clientsOf(s.proxy.Addr(), func(o *redis.UniversalOptions) { o.WriteTimeout = -1 })
}

// takesMuch is how long the server needs for the command of a row, of 16 MB. It serves one row
// after the other.
const takesMuch = time.Second

// subscribeToMuch subscribes each row to more than a connection buffers, while the server does
// not read, and waits until each of them has reported that.
func subscribeToMuch(t *testing.T, s *scene) {
	t.Helper()
	s.fault.within += time.Duration(len(s.rows)) * takesMuch
	names := make([]string, 256)
	for i := range names {
		names[i] = fmt.Sprint("much", i, strings.Repeat("x", 64<<10))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var calls sync.WaitGroup
	defer calls.Wait()
	defer s.proxy.Resume()
	defer cancel()
	s.proxy.Stall()
	for _, r := range s.rows {
		calls.Go(func() { _ = r.sub.Subscribe(ctx, names...) })
	}
	for _, r := range s.rows {
		r.awaitReport(t, halfOpen+sharedMachine)
	}
}

// awaitReport waits until the row has reported something.
func (r *row) awaitReport(t *testing.T, limit time.Duration) {
	t.Helper()
	tracetest.EventuallyWithin(t, limit, r.name()+" has reported the loss", func() bool { return r.reports.Total() > 0 })
}

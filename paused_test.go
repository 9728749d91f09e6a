// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package tracedpubsub_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// A server that stands still takes bytes and answers nothing.
func TestCancelOnAPausedServer(t *testing.T) {
	server, rdb := startServer(t)
	s := newSubject(t, server.Addr())
	sub := s.subscribed(t, "a")
	server.Pause()
	if err := sub.Subscribe(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	assertCancels(t, sub, true)
	server.Resume()
	mustBeReady(t, sub)
	publishRaw(t, rdb, "a", "usable")
	publishRaw(t, rdb, "b", "asked for while it stood still")
	assertReceives(t, sub, "usable", "asked for while it stood still")
	if reports := s.reports.all(); len(reports) > 0 {
		t.Errorf("the connection was never lost, but reported was %v", printed(reports))
	}
}

func TestCloseOnAPausedServer(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for _, tt := range []struct {
		name, reason string
		bring        func(t *testing.T, e *closingState, pause func())
	}{
		{"idle", "the read waits for a server that will not send", func(t *testing.T, e *closingState, pause func()) {
			mustBeReady(t, e.sub)
			e.consume(t, func(*tracedpubsub.Message) {})
			pause()
		}},
		{"never read", "what was sent is not answered", func(t *testing.T, e *closingState, pause func()) {
			waitForListeners(t, e.rdb, "a", 1)
			pause()
		}},
		{"full", "nobody reads, and nobody sends", func(t *testing.T, e *closingState, pause func()) {
			mustBeReady(t, e.sub)
			publishRaw(t, e.rdb, "a", numbered(0, 500)...)
			eventuallyHolds(t, "the buffer is full", func() bool { return len(e.sub.Channel()) == cap(e.sub.Channel()) })
			pause()
		}},
		{"waiting in Ready", "a name was asked for, and no answer will come", func(t *testing.T, e *closingState, pause func()) {
			mustBeReady(t, e.sub)
			pause()
			if err := e.sub.Subscribe(t.Context(), "b"); err != nil {
				t.Fatal(err)
			}
			ctx := testContext(t)
			e.loops.Go(func() { _ = e.sub.Ready(ctx) })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := startServer(t)
			s := subjectOf(t, &redis.Options{Addr: server.Addr(), DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout})
			e := &closingState{subject: s, sub: s.subscribe(t, "a"), rdb: rdb, busy: make(chan struct{})}
			tt.bring(t, e, server.Pause)
			e.ended(t)
			if t.Failed() {
				t.Logf("this row is here because: %s", tt.reason)
			}
		})
	}
}

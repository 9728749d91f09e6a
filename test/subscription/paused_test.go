// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A paused server accepts bytes and sends no replies.
func TestCancelOnAPausedServer(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	server.Pause()
	if err := sub.Subscribe(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	assertCancels(t, sub, true)
	server.Resume()
	tracetest.WaitReady(t, sub)
	tracetest.PublishRaw(t, rdb, "a", "usable")
	tracetest.PublishRaw(t, rdb, "b", "subscribed to during the pause")
	tracetest.AssertReceives(t, sub, "usable", "subscribed to during the pause")
	s.Reports.AssertNone(t)
}

func TestCloseOnAPausedServer(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for _, tt := range []struct {
		name, reason string
		bring        func(t *testing.T, e *closingState, pause func())
	}{
		{"idle", "the read waits for a server that will not send", func(t *testing.T, e *closingState, pause func()) {
			tracetest.WaitReady(t, e.sub)
			e.consume(t, func(*tracedpubsub.Message) {})
			pause()
		}},
		{"never read", "the server has not replied", func(t *testing.T, e *closingState, pause func()) {
			tracetest.WaitForSubscribers(t, e.rdb, "a", 1)
			pause()
		}},
		{"full", "nothing is consumed, and the server sends nothing", func(t *testing.T, e *closingState, pause func()) {
			tracetest.WaitReady(t, e.sub)
			tracetest.PublishRaw(t, e.rdb, "a", tracetest.Numbered(0, 500)...)
			tracetest.Eventually(t, "the buffer is full", func() bool { return len(e.sub.Channel()) == cap(e.sub.Channel()) })
			pause()
		}},
		{"waiting in Ready", "a channel was added, and the server does not confirm it", func(t *testing.T, e *closingState, pause func()) {
			tracetest.WaitReady(t, e.sub)
			pause()
			if err := e.sub.Subscribe(t.Context(), "b"); err != nil {
				t.Fatal(err)
			}
			ctx := tracetest.Context(t)
			e.loops.Go(func() { _ = e.sub.Ready(ctx) })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout})
			e := &closingState{Subject: s, sub: s.Subscription(t, "a"), rdb: rdb, busy: make(chan struct{})}
			tt.bring(t, e, server.Pause)
			e.ended(t)
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

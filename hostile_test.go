// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
)

// A server that ends each connection as soon as somebody subscribes: nothing is
// ever confirmed, and that must not stay a secret.
func TestAServerThatClosesAtOnce(t *testing.T) {
	start := func(t *testing.T, healthy *atomic.Bool) *subject {
		fake := startFakeRedis(t, func(c *fakeConn, command []string) {
			c.answerIf(command, command[0] != "subscribe" || healthy.Load())
		})
		return newSubject(t, fake.addr())
	}
	t.Run("Ready", func(t *testing.T) {
		sub := start(t, new(atomic.Bool)).subscribe(t, "a")
		var err error
		returnsPromptly(t, "Ready of a subscription that fails", func() { err = sub.Ready(testContext(t)) })
		if e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err); !ok || !slices.Equal(e.Channels, []string{"a"}) || !errors.Is(err, io.EOF) {
			t.Errorf("Ready: %v, want a SubscriptionError about a that is io.EOF", err)
		}
	})
	t.Run("error handler", func(t *testing.T) {
		var healthy atomic.Bool
		s := start(t, &healthy)
		sub := s.subscribe(t, "a")
		_ = sub.Channel()
		if got := s.reports.first(t, "receive", "a"); !errors.Is(got, io.EOF) {
			t.Errorf("reported was %v, want io.EOF", got.Error())
		}
		healthy.Store(true)
		assertReceives(t, sub, "healthy")
	})
	t.Run("after it had been healthy", func(t *testing.T) {
		var healthy atomic.Bool
		healthy.Store(true)
		s := start(t, &healthy)
		sub := s.subscribed(t, "a")
		healthy.Store(false)
		_ = sub.Ping(t.Context()) // the fake server ends the connection at that
		s.reports.await(t, "receive", "a")
		healthy.Store(true)
		assertReceives(t, sub, "healthy", "healthy")
	})
}

// answerIf answers, with a message behind each confirmation, or else ends the
// connection. A ping always ends it.
func (c *fakeConn) answerIf(command []string, healthy bool) {
	if !healthy || command[0] == "ping" {
		_ = c.Close()
		return
	}
	c.answer(command)
	if command[0] == "subscribe" {
		c.message(command[1], "healthy")
	}
}

// A connection that is lost before all names are heard again. Those that were
// for a moment had been deaf before, which is reported all the same.
func TestLostAgainWhileRecovering(t *testing.T) {
	var lost atomic.Int64 // when, in ns
	fake := startFakeRedis(t, func(c *fakeConn, command []string) {
		switch {
		case command[0] != "subscribe" || c.number > 2:
			c.answer(command)
			if command[0] == "subscribe" {
				c.message("a", "healthy")
			}
		case c.number == 1:
			c.answer(command)
			lost.Store(time.Now().UnixNano())
			_ = c.Close()
		default:
			c.confirm(command[1]) // and no other: this is another failure than the first
			c.send(":1\r\n")
		}
	})
	s := newSubject(t, fake.addr())
	sub := s.subscribe(t, "a", "b", "c")
	assertReceives(t, sub, "healthy")
	s.reports.wait(t, "that all names have been deaf since the first connection was lost", func(got []trouble) bool {
		covered := make(map[string]bool)
		for _, e := range got {
			// The last sign of life is older than the loss of the connection, for all that the client can know.
			if began := e.at.Add(-e.Downtime); began.Before(time.Unix(0, lost.Load()).Add(5 * time.Millisecond)) {
				for _, name := range e.Channels {
					covered[name] = true
				}
			}
		}
		return len(covered) == 3
	})
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The server ends each connection at a SUBSCRIBE. Nothing is ever confirmed, which must
// be reported.
func TestAServerThatClosesAtOnce(t *testing.T) {
	start := func(t *testing.T, healthy *atomic.Bool) *tracetest.Subject {
		fake := tracetest.StartFakeRedis(t, func(c *tracetest.FakeConn, command []string) {
			answerIf(c, command, command[0] != "subscribe" || healthy.Load())
		})
		return tracetest.NewSubject(t, fake.Addr())
	}
	t.Run("Ready", func(t *testing.T) {
		sub := start(t, new(atomic.Bool)).Subscription(t, "a")
		var err error
		tracetest.ReturnsPromptly(t, "Ready of a subscription that fails", func() { err = sub.Ready(tracetest.Context(t)) })
		if e, ok := tracetest.As[*tracedpubsub.SubscriptionError](err); !ok || !slices.Equal(e.Channels, []string{"a"}) || !errors.Is(err, io.EOF) {
			t.Errorf("Ready: %v, want a SubscriptionError about a that is io.EOF", err)
		}
	})
	t.Run("error handler", func(t *testing.T) {
		var healthy atomic.Bool
		s := start(t, &healthy)
		sub := s.Subscription(t, "a")
		_ = sub.Channel()
		if got := s.Reports.WaitFor(t, "receive", "a"); !errors.Is(got, io.EOF) {
			t.Errorf("reported was %v, want io.EOF", got.Error())
		}
		healthy.Store(true)
		tracetest.AssertReceives(t, sub, "healthy")
	})
	t.Run("after it had been healthy", func(t *testing.T) {
		var healthy atomic.Bool
		healthy.Store(true)
		s := start(t, &healthy)
		sub := s.ReadySubscription(t, "a")
		healthy.Store(false)
		_ = sub.Ping(t.Context()) // the fake server ends the connection at that
		s.Reports.Await(t, "receive", "a")
		healthy.Store(true)
		tracetest.AssertReceives(t, sub, "healthy", "healthy")
	})
}

// answerIf answers a command of a healthy server, with a message behind each
// confirmation. A server that is not healthy ends the connection, and so does a ping.
func answerIf(c *tracetest.FakeConn, command []string, healthy bool) {
	if !healthy || command[0] == "ping" {
		_ = c.Close()
		return
	}
	c.Answer(command)
	if command[0] == "subscribe" {
		c.Message(command[1], "healthy")
	}
}

// The next connection is lost as well, before all channels are confirmed on it. The
// outage of the channel that was confirmed in between is reported all the same.
func TestLostAgainWhileRecovering(t *testing.T) {
	var lost atomic.Int64 // the time in ns
	fake := tracetest.StartFakeRedis(t, func(c *tracetest.FakeConn, command []string) {
		switch {
		case command[0] != "subscribe" || c.Number > 2:
			c.Answer(command)
			if command[0] == "subscribe" {
				c.Message("a", "healthy")
			}
		case c.Number == 1:
			c.Answer(command)
			lost.Store(time.Now().UnixNano())
			_ = c.Close()
		default:
			c.Confirm(command[1]) // only this one; the reply behind it is a failure of another kind
			c.Send(":1\r\n")
		}
	})
	s := tracetest.NewSubject(t, fake.Addr())
	sub := s.Subscription(t, "a", "b", "c")
	tracetest.AssertReceives(t, sub, "healthy")
	s.Reports.WaitUntil(t, "an outage of every channel since the first connection was lost", func(got []tracetest.Report) bool {
		covered := make(map[string]bool)
		for _, e := range got {
			// The downtime begins with the last reply, which is older than the loss.
			if began := e.At.Add(-e.Downtime); began.Before(time.Unix(0, lost.Load()).Add(5 * time.Millisecond)) {
				for _, channel := range e.Channels {
					covered[channel] = true
				}
			}
		}
		return len(covered) == 3
	})
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// callsThatWait are the methods that wait until their context is canceled.
var callsThatWait = []struct {
	name, reason string
	wait         func(ctx context.Context, sub *tracedpubsub.PubSub) error
}{
	{"Messages", "the loop just ends", func(ctx context.Context, sub *tracedpubsub.PubSub) error {
		for range sub.Messages(ctx) {
		}
		return ctx.Err()
	}},
	{"Process", "it returns the error of the context", func(ctx context.Context, sub *tracedpubsub.PubSub) error {
		return sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { return nil })
	}},
	{"ReceiveMessage", "the message is left for the next call", func(ctx context.Context, sub *tracedpubsub.PubSub) error {
		_, err := sub.ReceiveMessage(ctx)
		return err
	}},
	{"Ready", "the server has not confirmed the topics", func(ctx context.Context, sub *tracedpubsub.PubSub) error {
		return sub.Ready(ctx)
	}},
}

// assertCancels asserts that each call that waits returns when its context is canceled or
// expires, or was canceled before; unanswered says that Ready waits, too.
func assertCancels(t *testing.T, sub *tracedpubsub.PubSub, unanswered bool) {
	t.Helper()
	for _, tt := range callsThatWait {
		if tt.name == "Ready" && !unanswered {
			continue
		}
		canceled, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel) // the call most likely waits by then
		expired, cancelExpired := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancelExpired()
		for _, end := range []struct {
			reason string
			ctx    context.Context
			want   error
		}{
			{"canceled while it waits", canceled, context.Canceled},
			{"a deadline while it waits", expired, context.DeadlineExceeded},
			{"canceled before", canceled, context.Canceled},
		} {
			tracetest.ReturnsPromptly(t, tt.name+" "+end.reason, func() {
				if err := tt.wait(end.ctx, sub); !errors.Is(err, end.want) {
					t.Errorf("%s, %s (%s): %v, want %v", tt.name, end.reason, tt.reason, err, end.want)
				}
			})
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	assertCancels(t, sub, false)
	tracetest.PublishRaw(t, rdb, "a", "usable")
	tracetest.AssertReceives(t, sub, "usable")
	s.Reports.AssertNone(t)
}

// The server never confirms a channel that Ready waits for.
func TestCancelWithoutAnAnswer(t *testing.T) {
	fake := tracetest.StartFakeRedis(t, func(c *tracetest.FakeConn, command []string) {
		if command[0] == "subscribe" && command[1] == "late" {
			c.Message("a", "usable")
			return
		}
		c.Answer(command)
	})
	sub := tracetest.NewSubject(t, fake.Addr()).ReadySubscription(t, "a")
	assertCancels(t, sub, false)
	if err := sub.Subscribe(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
	tracetest.AssertReceives(t, sub, "usable")
	assertCancels(t, sub, true)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// startACLServer starts a server and a subject that may subscribe to the given channels
// only. It returns a function that changes these channels.
func startACLServer(t *testing.T, channels ...string) (s *tracetest.Subject, rdb *redis.Client, allow func(channels ...string)) {
	t.Helper()
	server, rdb := tracetest.StartServer(t)
	allow = func(channels ...string) {
		t.Helper()
		args := []any{"ACL", "SETUSER", "limited", "on", ">secret", "+@all", "resetchannels"}
		for _, channel := range channels {
			args = append(args, "&"+channel)
		}
		if err := rdb.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("ACL SETUSER: %v", err)
		}
	}
	allow(channels...)
	s = tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Username: "limited", Password: "secret"})
	return s, rdb, allow
}

// assertRefused asserts that err is a SubscriptionError for a NOPERM of the server about
// the given topics.
func assertRefused(t *testing.T, err error, op string, topics ...string) {
	t.Helper()
	e, ok := tracetest.As[*tracedpubsub.SubscriptionError](err)
	if !ok {
		t.Fatalf("%v is no SubscriptionError", err)
	}
	if e.Op != op || !slices.Equal(e.Channels, topics) {
		t.Errorf("it is about %s %v, want %s %v", e.Op, e.Channels, op, topics)
	}
	answer, ok := tracetest.As[redis.Error](err)
	if !ok || !strings.HasPrefix(answer.Error(), "NOPERM") {
		t.Errorf("%v: its cause is not the server's NOPERM", err)
	}
}

func TestARefusedSubscription(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string
		failure      func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error
	}{
		{"Ready", "the caller gets the refusal", func(t *testing.T, _ *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			return sub.Ready(tracetest.Context(t))
		}},
		{"error handler", "nobody called Ready", func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			return s.Reports.WaitFor(t, "subscribe", "forbidden").SubscriptionError
		}},
		{"Ready later", "it was reported before, and still holds", func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			s.Reports.Await(t, "subscribe", "forbidden")
			return sub.Ready(tracetest.Context(t))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, rdb, allow := startACLServer(t, "a", "b", "c")
			sub := s.Subscription(t, "a", "forbidden", "b", "c")
			assertRefused(t, tt.failure(t, s, sub), "subscribe", "forbidden")
			for _, channel := range []string{"a", "b", "c"} {
				tracetest.WaitForSubscribers(t, rdb, channel, 1)
				tracetest.PublishRaw(t, rdb, channel, "on "+channel)
			}
			tracetest.AssertReceives(t, sub, "on a", "on b", "on c")
			allow("a", "b", "c", "forbidden")
			tracetest.WaitForSubscribers(t, rdb, "forbidden", 1)
			tracetest.PublishRaw(t, rdb, "forbidden", "allowed now")
			tracetest.AssertReceives(t, sub, "allowed now")
			tracetest.WaitReady(t, sub)
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

// Each kind of topic is refused with its own command.
func TestEachKindIsRefused(t *testing.T) {
	t.Parallel()
	for _, kind := range topicKinds {
		t.Run(kind.name, func(t *testing.T) {
			s, _, _ := startACLServer(t, "a")
			sub := kind.start(s.Client, tracetest.Context(t), "forbidden")
			defer sub.Close()
			op := map[string]string{"channels": "subscribe", "patterns": "psubscribe", "sharded channels": "ssubscribe"}[kind.name]
			assertRefused(t, sub.Ready(tracetest.Context(t)), op, "forbidden")
		})
	}
}

// The error handler unsubscribes from the topic that was refused. The library does not
// subscribe to it again.
func TestARefusedTopicIsUnsubscribed(t *testing.T) {
	t.Parallel()
	s, rdb, allow := startACLServer(t, "a")
	subscription := make(chan *tracedpubsub.PubSub, 1)
	unsubscribed := make(chan error, 10)
	client := tracedpubsub.Wrap(s.RDB, tracedpubsub.WithTracerProvider(s.Spans), tracedpubsub.WithErrorHandler(func(err error) {
		sub := <-subscription
		subscription <- sub
		if e, ok := tracetest.As[*tracedpubsub.SubscriptionError](err); ok {
			unsubscribed <- sub.Unsubscribe(t.Context(), e.Channels...)
		}
	}))
	sub := client.Subscribe(tracetest.Context(t), "a", "forbidden")
	defer sub.Close()
	subscription <- sub
	_ = sub.Channel()
	if err := <-unsubscribed; err != nil {
		t.Fatalf("Unsubscribe: %v", err)
	}
	tracetest.WaitReady(t, sub)
	allow("a", "forbidden") // the connection stays, as nothing is taken away
	if err := sub.Subscribe(t.Context(), "forbidden"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	tracetest.PublishRaw(t, rdb, "forbidden", "subscribed again")
	tracetest.AssertReceives(t, sub, "subscribed again")
	if n := len(unsubscribed); n > 0 {
		t.Errorf("%d more reports", n)
	}
}

// Redis ends the connections of a user that loses a permission that they use.
func TestAPermissionIsTakenAway(t *testing.T) {
	t.Parallel()
	var forbidden []string
	for i := range 7 {
		forbidden = append(forbidden, fmt.Sprintf("forbidden %d", i))
	}
	s, rdb, allow := startACLServer(t, "*")
	sub := s.ReadySubscription(t, append(forbidden, "allowed")...)
	revoked := time.Now()
	allow("allowed")
	got := s.Reports.WaitFor(t, "subscribe", forbidden[0])
	assertRefused(t, got.SubscriptionError, "subscribe", got.Channels...)
	tracetest.WaitForSubscribers(t, rdb, "allowed", 1)
	recovered := time.Now()
	tracetest.PublishRaw(t, rdb, "allowed", "still")
	tracetest.AssertReceives(t, sub, "still")

	// The topic that recovers is reported, although others are still refused.
	again := s.Reports.WaitFor(t, "receive", "allowed")
	if again.At.Add(-again.Downtime).After(revoked) || again.At.Before(revoked) {
		t.Errorf("%v at %v does not cover the time from %v until %v", again.Error(), again.At, revoked, recovered)
	}

	allow("*")
	tracetest.EventuallyReady(t, sub)
	for _, channel := range forbidden {
		tracetest.PublishRaw(t, rdb, channel, channel)
	}
	tracetest.AssertReceives(t, sub, forbidden...)
}

// Every topic that is refused is reported, not only the last one.
func TestEveryRefusedTopicIsReported(t *testing.T) {
	t.Parallel()
	s, _, _ := startACLServer(t, "a")
	sub := s.Subscription(t, "a", "x", "y", "z")
	_ = sub.Channel()
	s.Reports.WaitUntil(t, "x, y and z", func(got []tracetest.Report) bool {
		var topics []string
		for _, e := range got {
			topics = append(topics, e.Channels...)
		}
		slices.Sort(topics)
		return slices.Equal(slices.Compact(topics), []string{"x", "y", "z"})
	})
}

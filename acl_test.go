// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// startACLServer starts a server with a user "limited" who may subscribe to the
// given channels alone, and returns a function that changes which these are.
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

// assertRefused asserts that err says that the server has refused names.
func assertRefused(t *testing.T, err error, op string, names ...string) {
	t.Helper()
	e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err)
	if !ok {
		t.Fatalf("%v is no SubscriptionError", err)
	}
	if e.Op != op || !slices.Equal(e.Channels, names) {
		t.Errorf("it is about %s %v, want %s %v", e.Op, e.Channels, op, names)
	}
	answer, ok := errors.AsType[redis.Error](err)
	if !ok || !strings.HasPrefix(answer.Error(), "NOPERM") {
		t.Errorf("%v: its cause is not the server's NOPERM", err)
	}
}

func TestARefusedSubscription(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		heard        func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error
	}{
		{"Ready", "who asks gets the answer", func(t *testing.T, _ *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			return sub.Ready(tracetest.Context(t))
		}},
		{"error handler", "nobody has asked", func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			return s.Reports.WaitFor(t, "subscribe", "forbidden").SubscriptionError
		}},
		{"Ready later", "it had been reported before, and is still so", func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			s.Reports.WaitFor(t, "subscribe", "forbidden")
			return sub.Ready(tracetest.Context(t))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, rdb, allow := startACLServer(t, "a", "b", "c")
			sub := s.Subscription(t, "a", "forbidden", "b", "c")
			assertRefused(t, tt.heard(t, s, sub), "subscribe", "forbidden")
			for _, channel := range []string{"a", "b", "c"} {
				tracetest.WaitForSubscribers(t, rdb, channel, 1)
				tracetest.PublishRaw(t, rdb, channel, "on "+channel)
			}
			tracetest.AssertReceives(t, sub, "on a", "on b", "on c")
			allow("a", "b", "c", "forbidden")
			tracetest.WaitForSubscribers(t, rdb, "forbidden", 1)
			tracetest.PublishRaw(t, rdb, "forbidden", "not any more")
			tracetest.AssertReceives(t, sub, "not any more")
			tracetest.WaitReady(t, sub)
			if t.Failed() {
				t.Logf("this row is here because: %s", tt.reason)
			}
		})
	}
}

// Each kind is refused with its own command.
func TestEachKindIsRefused(t *testing.T) {
	for _, kind := range kindsOfNames {
		t.Run(kind.name, func(t *testing.T) {
			s, _, _ := startACLServer(t, "a")
			sub := kind.start(s.Client, tracetest.Context(t), "forbidden")
			defer sub.Close()
			op := map[string]string{"channels": "subscribe", "patterns": "psubscribe", "sharded channels": "ssubscribe"}[kind.name]
			assertRefused(t, sub.Ready(tracetest.Context(t)), op, "forbidden")
		})
	}
}

// A name that was refused and is given up is not asked for any more, also when
// it is the error handler that gives it up.
func TestARefusedNameIsGivenUp(t *testing.T) {
	s, rdb, allow := startACLServer(t, "a")
	subscription := make(chan *tracedpubsub.PubSub, 1)
	gaveUp := make(chan error, 10)
	client := tracedpubsub.Wrap(s.RDB, tracedpubsub.WithTracerProvider(s.Spans), tracedpubsub.WithErrorHandler(func(err error) {
		sub := <-subscription
		subscription <- sub
		if e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err); ok {
			gaveUp <- sub.Unsubscribe(t.Context(), e.Channels...)
		}
	}))
	sub := client.Subscribe(tracetest.Context(t), "a", "forbidden")
	defer sub.Close()
	subscription <- sub
	_ = sub.Channel()
	if err := <-gaveUp; err != nil {
		t.Fatalf("Unsubscribe: %v", err)
	}
	tracetest.WaitReady(t, sub)
	allow("a", "forbidden") // its connection stays: nothing is taken away
	if err := sub.Subscribe(t.Context(), "forbidden"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	tracetest.PublishRaw(t, rdb, "forbidden", "by our own wish")
	tracetest.AssertReceives(t, sub, "by our own wish")
	if n := len(gaveUp); n > 0 {
		t.Errorf("%d more reports", n)
	}
}

// Redis ends the connections of a user who loses a permission that they use.
func TestAPermissionIsTakenAway(t *testing.T) {
	var forbidden []string
	for i := range 7 {
		forbidden = append(forbidden, fmt.Sprintf("forbidden %d", i))
	}
	s, rdb, allow := startACLServer(t, "*")
	sub := s.ReadySubscription(t, append(forbidden, "allowed")...)
	taken := time.Now()
	allow("allowed")
	got := s.Reports.WaitFor(t, "subscribe", forbidden[0])
	assertRefused(t, got.SubscriptionError, "subscribe", got.Channels...)
	tracetest.WaitForSubscribers(t, rdb, "allowed", 1)
	heard := time.Now()
	tracetest.PublishRaw(t, rdb, "allowed", "still")
	tracetest.AssertReceives(t, sub, "still")

	// What is heard again was deaf, however many others still are.
	again := s.Reports.WaitFor(t, "receive", "allowed")
	if again.At.Add(-again.Downtime).After(taken) || again.At.Before(taken) {
		t.Errorf("%v at %v does not cover what came after %v until before %v", again.Error(), again.At, taken, heard)
	}

	allow("*")
	tracetest.EventuallyReady(t, sub)
	for _, channel := range forbidden {
		tracetest.PublishRaw(t, rdb, channel, channel)
	}
	tracetest.AssertReceives(t, sub, forbidden...)
}

// All that is refused comes out, not the last alone.
func TestEveryRefusedNameIsReported(t *testing.T) {
	s, _, _ := startACLServer(t, "a")
	sub := s.Subscription(t, "a", "x", "y", "z")
	_ = sub.Channel()
	s.Reports.WaitUntil(t, "x, y and z", func(got []tracetest.Report) bool {
		var names []string
		for _, e := range got {
			names = append(names, e.Channels...)
		}
		slices.Sort(names)
		return slices.Equal(slices.Compact(names), []string{"x", "y", "z"})
	})
}

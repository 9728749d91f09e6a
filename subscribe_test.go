// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Subscribe subscribes at once. Messages wait on the connection, and no goroutine runs,
// until the first call that needs one.
func TestNothingRunsBeforeItIsNeeded(t *testing.T) {
	for _, tt := range tracetest.Consumers {
		t.Run(tt.Name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			tracetest.WaitForNoGoroutines(t) // of earlier tests
			sub := tracetest.NewSubject(t, server.Addr()).Subscription(t, "early")
			tracetest.WaitForSubscribers(t, rdb, "early", 1) // the subscription was sent
			tracetest.PublishRaw(t, rdb, "early", tracetest.Numbered(0, 10)...)
			if running := tracetest.LibraryGoroutines(); len(running) > 0 {
				t.Errorf("no call needs a goroutine yet, but there are\n%s", strings.Join(running, "\n\n"))
			}
			var got []string
			tt.Consume(tracetest.Context(t), sub, func(m *tracedpubsub.Message) bool {
				got = append(got, m.Payload)
				return len(got) < 10
			})
			if !slices.Equal(got, tracetest.Numbered(0, 10)) {
				t.Errorf("%s: got %v, want what was published before", tt.Reason, got)
			}
		})
	}
}

func TestAllKindsOnOneSubscription(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	ctx := tracetest.Context(t)
	sub := tracetest.NewSubject(t, server.Addr()).Subscription(t, "b", "a")
	if err := errors.Join(sub.PSubscribe(ctx, "p*"), sub.SSubscribe(ctx, "s")); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	if got, want := sub.String(), "PubSub(a, b, p*, s)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	tracetest.PublishRaw(t, rdb, "a", "1")
	tracetest.PublishRaw(t, rdb, "pattern", "2")
	if err := rdb.SPublish(ctx, "s", "3").Err(); err != nil {
		t.Fatal(err)
	}
	tracetest.AssertReceives(t, sub, "1", "2", "3")
	if err := sub.Unsubscribe(ctx); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitForSubscribers(t, rdb, "a", 0)
	tracetest.PublishRaw(t, rdb, "pattern", "patterns stay")
	tracetest.AssertReceives(t, sub, "patterns stay")
}

// String returns what redis.PubSub.String returns, with the topics sorted.
func TestStringIsThatOfGoRedis(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	theirs := rdb.Subscribe(t.Context(), "a")
	defer theirs.Close()
	ours := tracetest.NewSubject(t, server.Addr()).Subscription(t, "a")
	if got, want := ours.String(), theirs.String(); got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

// Ready is safe for concurrent use.
func TestReadyForSeveral(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	sub := tracetest.NewSubject(t, server.Addr()).Subscription(t, "a")
	ready := make(chan error)
	for range 4 {
		go func() { ready <- sub.Ready(tracetest.Context(t)) }()
	}
	for range 4 {
		if err := <-ready; err != nil {
			t.Errorf("Ready: %v", err)
		}
	}
	tracetest.PublishRaw(t, rdb, "a", "1")
	tracetest.AssertReceives(t, sub, "1")
}

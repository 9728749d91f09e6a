// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// namesOfAKind is how one kind of names is added, removed, counted by the
// server, and published to.
type namesOfAKind struct {
	name, reason string
	start        func(c *tracedpubsub.Client, ctx context.Context, names ...string) *tracedpubsub.PubSub
	add, remove  func(p *tracedpubsub.PubSub, ctx context.Context, names ...string) error
	listeners    func(t *testing.T, rdb *redis.Client, name string) int64
	publish      func(rdb *redis.Client, ctx context.Context, channel string, payload any) *redis.IntCmd
}

var kindsOfNames = []namesOfAKind{
	{
		"channels", "what most subscribe to",
		(*tracedpubsub.Client).Subscribe, (*tracedpubsub.PubSub).Subscribe, (*tracedpubsub.PubSub).Unsubscribe,
		tracetest.Subscribers, (*redis.Client).Publish,
	},
	{
		"patterns", "the server counts them, and does not tell for which names",
		(*tracedpubsub.Client).PSubscribe, (*tracedpubsub.PubSub).PSubscribe, (*tracedpubsub.PubSub).PUnsubscribe,
		func(t *testing.T, rdb *redis.Client, _ string) int64 {
			t.Helper()
			n, err := rdb.PubSubNumPat(t.Context()).Result()
			if err != nil {
				t.Fatalf("PUBSUB NUMPAT: %v", err)
			}
			return n
		}, (*redis.Client).Publish,
	},
	{
		"sharded channels", "they have commands of their own",
		(*tracedpubsub.Client).SSubscribe, (*tracedpubsub.PubSub).SSubscribe, (*tracedpubsub.PubSub).SUnsubscribe,
		func(t *testing.T, rdb *redis.Client, name string) int64 {
			t.Helper()
			n, err := rdb.PubSubShardNumSub(t.Context(), name).Result()
			if err != nil {
				t.Fatalf("PUBSUB SHARDNUMSUB: %v", err)
			}
			return n[name]
		}, (*redis.Client).SPublish,
	},
}

func onEachKind(t *testing.T, test func(t *testing.T, kind namesOfAKind, s *tracetest.Subject, rdb *redis.Client)) {
	t.Helper()
	for _, kind := range kindsOfNames {
		t.Run(kind.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			test(t, kind, tracetest.NewSubject(t, server.Addr()), rdb)
		})
	}
}

// send publishes, and asserts how many the server hands it to.
func (kind namesOfAKind) send(t *testing.T, rdb *redis.Client, channel, payload string, receivers int64) {
	t.Helper()
	n, err := kind.publish(rdb, t.Context(), channel, payload).Result()
	if err != nil || n != receivers {
		t.Fatalf("publish on %s: %d receivers, %v; want %d", channel, n, err, receivers)
	}
}

func TestDuplicateNames(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind namesOfAKind, s *tracetest.Subject, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := kind.start(s.Client, ctx, "a", "b", "a", "a")
		defer sub.Close()
		tracetest.WaitReady(t, sub)
		if err := kind.add(sub, ctx, "b", "a", "a"); err != nil {
			t.Errorf("adding what is there: %v", err)
		}
		tracetest.WaitReady(t, sub)
		kind.send(t, rdb, "a", "once", 1)
		kind.send(t, rdb, "b", "twice", 1)
		tracetest.AssertReceives(t, sub, "once", "twice")
		if got, want := sub.String(), "PubSub(a, b)"; got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	})
}

func TestAddAndRemoveNames(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind namesOfAKind, s *tracetest.Subject, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := kind.start(s.Client, ctx, "a")
		defer sub.Close()
		if err := kind.add(sub, ctx, "b"); err != nil { // before anybody reads
			t.Fatalf("add: %v", err)
		}
		tracetest.WaitReady(t, sub)
		if err := kind.add(sub, ctx, "c", "d"); err != nil {
			t.Fatalf("add: %v", err)
		}
		tracetest.WaitReady(t, sub)
		for _, channel := range []string{"a", "b", "c", "d"} {
			kind.send(t, rdb, channel, "on "+channel, 1) // Ready has said so: no waiting
		}
		tracetest.AssertReceives(t, sub, "on a", "on b", "on c", "on d")

		if err := kind.remove(sub, ctx, "b", "b", "not there"); err != nil {
			t.Fatalf("remove: %v", err)
		}
		if err := kind.remove(sub, ctx, "c"); err != nil {
			t.Fatalf("remove: %v", err)
		}
		tracetest.Eventually(t, "the server has heard of it", func() bool {
			return kind.publish(rdb, t.Context(), "c", "late").Val() == 0
		})
		kind.send(t, rdb, "b", "not for us", 0)
		kind.send(t, rdb, "d", "still", 1)
		for m, err := sub.ReceiveMessage(ctx); ; m, err = sub.ReceiveMessage(ctx) {
			if err != nil || m.Channel == "b" {
				t.Fatalf("got %v, %v", m, err)
			}
			if m.Payload == "still" {
				break
			}
		}

		if err := kind.remove(sub, ctx); err != nil {
			t.Fatalf("remove all: %v", err)
		}
		tracetest.Eventually(t, "the server has heard of it", func() bool { return kind.listeners(t, rdb, "d") == 0 })
		if got, want := sub.String(), "PubSub()"; got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
		tracetest.WaitReady(t, sub) // there is nothing to wait for

		if err := kind.add(sub, ctx, "a"); err != nil {
			t.Fatalf("add again: %v", err)
		}
		tracetest.WaitReady(t, sub)
		kind.send(t, rdb, "a", "again", 1)
		tracetest.AssertReceives(t, sub, "again")
		s.Reports.AssertNone(t)
	})
}

func TestNoNamesAtFirst(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind namesOfAKind, s *tracetest.Subject, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := kind.start(s.Client, ctx)
		defer sub.Close()
		tracetest.WaitReady(t, sub)
		if err := kind.remove(sub, ctx); err != nil {
			t.Errorf("removing all of none: %v", err)
		}
		if err := kind.add(sub, ctx); err != nil {
			t.Errorf("adding none: %v", err)
		}
		_ = sub.Channel() // begins to read what is not there yet
		if err := kind.add(sub, ctx, "a"); err != nil {
			t.Fatalf("add: %v", err)
		}
		tracetest.WaitReady(t, sub)
		kind.send(t, rdb, "a", "hello", 1)
		tracetest.AssertReceives(t, sub, "hello")
	})
}

// A name taken out and asked for again while the answers are still under way is
// subscribed to.
func TestRemoveAndAddAtOnce(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind namesOfAKind, s *tracetest.Subject, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := kind.start(s.Client, ctx, "a")
		defer sub.Close()
		for range 50 {
			if err := errors.Join(kind.remove(sub, ctx, "a"), kind.add(sub, ctx, "a", "b"), kind.remove(sub, ctx, "b")); err != nil {
				t.Fatal(err)
			}
		}
		tracetest.WaitReady(t, sub)
		kind.send(t, rdb, "a", "hello", 1)
		tracetest.Eventually(t, "nobody listens on b", func() bool {
			return kind.publish(rdb, t.Context(), "b", "late").Val() == 0
		})
		tracetest.AssertReceives(t, sub, "hello")
	})
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
	tracetest.PublishRaw(t, rdb, "pattern", "all channels are not all names")
	tracetest.AssertReceives(t, sub, "all channels are not all names")
}

// String is the one of redis.PubSub, where that has an order at all.
func TestStringIsThatOfGoRedis(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	theirs := rdb.Subscribe(t.Context(), "a")
	defer theirs.Close()
	ours := tracetest.NewSubject(t, server.Addr()).Subscription(t, "a")
	if got, want := ours.String(), theirs.String(); got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

// Who asks first, waits for all: several may wait.
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

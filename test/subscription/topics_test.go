// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// topicKind is a kind of topic: how to add and remove topics, count their subscribers, and
// publish to them.
type topicKind struct {
	name, reason string
	start        func(c *tracedpubsub.Client, ctx context.Context, topics ...string) *tracedpubsub.PubSub
	add, remove  func(p *tracedpubsub.PubSub, ctx context.Context, topics ...string) error
	subscribers  func(t *testing.T, rdb *redis.Client, topic string) int64
	publish      func(rdb *redis.Client, ctx context.Context, channel string, payload any) *redis.IntCmd
}

var topicKinds = []topicKind{
	{
		"channels", "what most subscribe to",
		(*tracedpubsub.Client).Subscribe, (*tracedpubsub.PubSub).Subscribe, (*tracedpubsub.PubSub).Unsubscribe,
		tracetest.Subscribers, (*redis.Client).Publish,
	},
	{
		"patterns", "the server counts them all together",
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
		func(t *testing.T, rdb *redis.Client, topic string) int64 {
			t.Helper()
			n, err := rdb.PubSubShardNumSub(t.Context(), topic).Result()
			if err != nil {
				t.Fatalf("PUBSUB SHARDNUMSUB: %v", err)
			}
			return n[topic]
		}, (*redis.Client).SPublish,
	},
}

func onEachKind(t *testing.T, test func(t *testing.T, kind topicKind, s *tracetest.Subject, rdb *redis.Client)) {
	t.Helper()
	for _, kind := range topicKinds {
		t.Run(kind.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			test(t, kind, tracetest.NewSubject(t, server.Addr()), rdb)
		})
	}
}

// send publishes, and asserts how many clients receive the message.
func (kind topicKind) send(t *testing.T, rdb *redis.Client, channel, payload string, receivers int64) {
	t.Helper()
	n, err := kind.publish(rdb, t.Context(), channel, payload).Result()
	if err != nil || n != receivers {
		t.Fatalf("publish on %s: %d receivers, %v; want %d", channel, n, err, receivers)
	}
}

func TestDuplicateTopics(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind topicKind, s *tracetest.Subject, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := kind.start(s.Client, ctx, "a", "b", "a", "a")
		defer sub.Close()
		tracetest.WaitReady(t, sub)
		if err := kind.add(sub, ctx, "b", "a", "a"); err != nil {
			t.Errorf("adding topics again: %v", err)
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

func TestAddAndRemoveTopics(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind topicKind, s *tracetest.Subject, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := kind.start(s.Client, ctx, "a")
		defer sub.Close()
		if err := kind.add(sub, ctx, "b"); err != nil { // before anything reads
			t.Fatalf("add: %v", err)
		}
		tracetest.WaitReady(t, sub)
		if err := kind.add(sub, ctx, "c", "d"); err != nil {
			t.Fatalf("add: %v", err)
		}
		tracetest.WaitReady(t, sub)
		for _, channel := range []string{"a", "b", "c", "d"} {
			kind.send(t, rdb, channel, "on "+channel, 1) // Ready has returned, so there is nothing to wait for
		}
		tracetest.AssertReceives(t, sub, "on a", "on b", "on c", "on d")

		if err := kind.remove(sub, ctx, "b", "b", "not there"); err != nil {
			t.Fatalf("remove: %v", err)
		}
		if err := kind.remove(sub, ctx, "c"); err != nil {
			t.Fatalf("remove: %v", err)
		}
		tracetest.Eventually(t, "the server has removed it", func() bool {
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
		tracetest.Eventually(t, "the server has removed it", func() bool { return kind.subscribers(t, rdb, "d") == 0 })
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

func TestNoTopicsAtFirst(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind topicKind, s *tracetest.Subject, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := kind.start(s.Client, ctx)
		defer sub.Close()
		tracetest.WaitReady(t, sub)
		if err := kind.remove(sub, ctx); err != nil {
			t.Errorf("removing all topics of none: %v", err)
		}
		if err := kind.add(sub, ctx); err != nil {
			t.Errorf("adding no topic: %v", err)
		}
		_ = sub.Channel() // begins to read without a connection
		if err := kind.add(sub, ctx, "a"); err != nil {
			t.Fatalf("add: %v", err)
		}
		tracetest.WaitReady(t, sub)
		kind.send(t, rdb, "a", "hello", 1)
		tracetest.AssertReceives(t, sub, "hello")
	})
}

// A topic that is removed and added again before the server has replied is subscribed
// to.
func TestRemoveAndAddAtOnce(t *testing.T) {
	onEachKind(t, func(t *testing.T, kind topicKind, s *tracetest.Subject, rdb *redis.Client) {
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
		tracetest.Eventually(t, "nothing is subscribed to b", func() bool {
			return kind.publish(rdb, t.Context(), "b", "late").Val() == 0
		})
		tracetest.AssertReceives(t, sub, "hello")
	})
}

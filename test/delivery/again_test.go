// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// subscribed is a kind of subscription to a channel or pattern "a".
type subscribed struct {
	name                   string
	subscribe, unsubscribe func(sub *tracedpubsub.PubSub, ctx context.Context, topics ...string) error
}

var kindsOfSubscriptions = []subscribed{
	{"channel", (*tracedpubsub.PubSub).Subscribe, (*tracedpubsub.PubSub).Unsubscribe},
	{"pattern", (*tracedpubsub.PubSub).PSubscribe, (*tracedpubsub.PubSub).PUnsubscribe},
}

// A channel that is unsubscribed from and subscribed to again has missed nothing meanwhile, also
// if what came before is read only afterwards. What was missing then is not counted.
func TestSubscribingAgainBeginsAnew(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, kind := range kindsOfSubscriptions {
		for _, tt := range []struct {
			name string
			read bool // before it is subscribed to again
		}{{"everything is read", true}, {"a backlog", false}} {
			t.Run(kind.name+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				ctx, topic := tracetest.Context(t), t.Name()
				s := newSubject(t, server.Addr(), tracedpubsub.WithChannelSize(1))
				sub := s.Subscription(t, topic+" 2")
				subscribe := func() {
					if err := kind.subscribe(sub, ctx, topic); err != nil {
						t.Fatal(err)
					}
				}
				subscribe()
				tracetest.WaitReady(t, sub)
				publish(t, s.RDB, topic, numbered("x", 1, 2, 4, 5, 6, 7)...)
				before := []int64{0, 0, 1, 0, 0, 0}
				if tt.read {
					assertSkipped(t, sub, before...)
				}
				if err := kind.unsubscribe(sub, ctx, topic); err != nil {
					t.Fatal(err)
				}
				subscribe()
				if !tt.read {
					assertSkipped(t, sub, before...)
				}
				tracetest.WaitReady(t, sub)
				publish(t, s.RDB, topic, numbered("x", 1000, 1001)...)
				assertSkipped(t, sub, 0, 0)
				s.assertJudged(t, sub, topic+" 2", 0, 0)
			})
		}
	}
}

// To subscribe to what is subscribed to already changes nothing: the loss is counted.
func TestSubscribingTwiceHidesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, kind := range kindsOfSubscriptions {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			ctx, topic := tracetest.Context(t), t.Name()
			s := newSubject(t, server.Addr())
			sub := s.Subscription(t, topic+" 2")
			for range 2 {
				if err := kind.subscribe(sub, ctx, topic); err != nil {
					t.Fatal(err)
				}
				tracetest.WaitReady(t, sub)
				publish(t, s.RDB, topic, numbered("x", 1)...)
				publish(t, s.RDB, topic, numbered("y", 1)...)
				assertSkipped(t, sub, 0, 0)
			}
			publish(t, s.RDB, topic, numbered("x", 8)...)
			assertSkipped(t, sub, 6)
			s.assertJudged(t, sub, topic+" 2", 6, 2)
		})
	}
}

// What was missing when a channel was unsubscribed from, or when Shutdown had read everything,
// may have been on its way: it is not counted, however long the handlers take.
func TestNoLossOfWhatIsUnsubscribed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := tracetest.Context(t)
	s := newSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a", "b")
	publish(t, s.RDB, "a", numbered("x", 1, 3)...)
	assertSkipped(t, sub, 0, 1)
	if err := sub.Unsubscribe(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitForSubscribers(t, s.RDB, "a", 0)
	s.assertJudged(t, sub, "b", 0, 0)
}

// The same while Shutdown waits for a handler.
func TestNoLossWhileShutdownWaits(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	handling, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = sub.Process(context.Background(), func(_ context.Context, m *tracedpubsub.Message) error {
			if m.Skipped > 0 {
				close(handling)
				tracetest.LetTimePass(6 * time.Second)
			}
			return nil
		})
	}()
	publish(t, s.RDB, "a", numbered("x", 1, 3)...)
	<-handling
	if err := sub.Shutdown(tracetest.Context(t)); err != nil {
		t.Fatal(err)
	}
	<-ended
	s.assertCounted(t, 0, 0)
}

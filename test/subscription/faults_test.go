// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// killConnection ends the connections of subscriptions, and asserts that there is one.
func killConnection(t *testing.T, rdb *redis.Client) {
	t.Helper()
	if n := tracetest.KillSubscriptions(t, rdb); n != 1 {
		t.Fatalf("CLIENT KILL ended %d connections, want 1", n)
	}
}

func TestAKilledConnection(t *testing.T) {
	for _, tt := range tracetest.Consumers {
		t.Run(tt.Name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubject(t, server.Addr())
			began := time.Now()
			sub := s.ReadySubscription(t, "a", "b")
			ctx, cancel := context.WithCancel(tracetest.Context(t))
			defer cancel()
			var loop sync.WaitGroup
			messages := make(chan *tracedpubsub.Message, 10)
			loop.Go(func() {
				tt.Consume(ctx, sub, func(m *tracedpubsub.Message) bool {
					messages <- m
					return true
				})
			})
			defer loop.Wait()
			defer cancel()

			killConnection(t, rdb)
			killed := time.Now()
			tracetest.WaitForSubscribers(t, rdb, "b", 1)
			tracetest.PublishRaw(t, rdb, "a", "after it")
			if m := <-messages; m.Payload != "after it" {
				t.Errorf("got %v", m)
			}
			got := s.Reports.WaitFor(t, "receive", "a")
			if !slices.Equal(got.Channels, []string{"a", "b"}) {
				t.Errorf("topics are %v, want [a b]", got.Channels)
			}
			if longest := got.At.Sub(began); got.Downtime <= 0 || got.Downtime > longest {
				t.Errorf("the downtime is %v, want more than nothing, and no more than %v", got.Downtime, longest)
			}
			if sinceKill := got.At.Sub(killed); sinceKill > time.Second {
				t.Errorf("%s: reported after %v", tt.Reason, sinceKill)
			}
			if got.Count != 1 || got.Err == nil {
				t.Errorf("count %d, cause %v; want one with a cause", got.Count, got.Err)
			}
			_ = sub.Close() // reports what has not been reported yet
			loop.Wait()
			tracetest.WaitForNoGoroutines(t)
			if all := s.Reports.All(); len(all) != 1 {
				t.Errorf("one connection was lost, but reported was %v", tracetest.Texts(all))
			}
		})
	}
}

func TestServerRestarts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string
		restart      func(t *testing.T, server *redistest.Server, s *tracetest.Subject)
	}{
		{"at once", "the first attempt to connect may fail or succeed", func(_ *testing.T, server *redistest.Server, _ *tracetest.Subject) {
			server.Restart()
		}},
		{"after failed attempts", "they are reported, and the attempts go on", func(t *testing.T, server *redistest.Server, s *tracetest.Subject) {
			server.Kill()
			s.Reports.WaitUntil(t, "the third failed attempt", func(got []tracetest.Report) bool {
				attempts := 0
				for _, e := range got {
					if e.Op == "connect" {
						attempts += e.Count
					}
				}
				return attempts >= 3
			})
			server.Restart()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubject(t, server.Addr())
			sub := s.ReadySubscription(t, "a")
			tracetest.PublishRaw(t, rdb, "a", "before")
			tracetest.Eventually(t, "it has been read", func() bool { return len(sub.Channel()) == 1 })
			down := time.Now()
			tt.restart(t, server, s)
			up := time.Now()
			tracetest.WaitForSubscribers(t, rdb, "a", 1)
			tracetest.PublishRaw(t, rdb, "a", "after")
			tracetest.AssertReceives(t, sub, "before", "after")
			got := s.Reports.WaitFor(t, "receive", "a")
			if least := up.Sub(down); got.Downtime < least {
				t.Errorf("%s: the downtime is %v, but the server was down for %v", tt.reason, got.Downtime, least)
			}
		})
	}
}

func TestTopicsChangeWhileTheServerIsDown(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "stays", "goes")
	server.Kill()
	s.Reports.Await(t, "connect", "stays")
	ctx := tracetest.Context(t)
	if err := errors.Join(sub.Unsubscribe(ctx, "goes"), sub.Subscribe(ctx, "comes"), sub.PSubscribe(ctx, "come?")); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	tracetest.WaitForSubscribers(t, rdb, "stays", 1)
	tracetest.WaitForSubscribers(t, rdb, "comes", 1)
	if n := tracetest.Subscribers(t, rdb, "goes"); n != 0 {
		t.Errorf("%d connections are subscribed to the channel that was removed", n)
	}
	tracetest.Eventually(t, "the pattern is subscribed to", func() bool { return rdb.PubSubNumPat(ctx).Val() == 1 })
	tracetest.PublishRaw(t, rdb, "goes", "nobody receives this")
	tracetest.PublishRaw(t, rdb, "stays", "1")
	tracetest.PublishRaw(t, rdb, "comes", "2")
	tracetest.AssertReceives(t, sub, "1", "2", "2") // once more for the pattern
}

// The connection is lost while nothing reads it. Messages that arrived before are not
// lost, and the downtime begins with the last reply, not when the loss is noticed.
func TestLostWhileNobodyReads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string
		ready        bool
	}{
		{"never read", "no goroutine runs yet", false},
		{"the consumer is busy", "the goroutine that reads waits for it", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubject(t, server.Addr(), tracedpubsub.WithChannelSize(0))
			sub := s.Subscription(t, "a")
			if tt.ready {
				tracetest.WaitReady(t, sub)
			}
			tracetest.WaitForSubscribers(t, rdb, "a", 1)
			tracetest.PublishRaw(t, rdb, "a", tracetest.Numbered(0, 5)...)
			if tt.ready {
				tracetest.AssertReceives(t, sub, "0") // and the next one is on its way
			}
			killConnection(t, rdb)
			lost := time.Now()
			for range 10 {
				server.Restart() // takes time, in which nothing is received
			}
			least := time.Since(lost)
			if tracetest.Subscribers(t, rdb, "a") != 0 {
				t.Fatal("the loss was noticed: the test proves nothing")
			}

			if tt.ready {
				tracetest.AssertReceives(t, sub, tracetest.Numbered(1, 4)...)
			} else {
				tracetest.AssertReceives(t, sub, tracetest.Numbered(0, 5)...)
			}
			tracetest.WaitForSubscribers(t, rdb, "a", 1)
			tracetest.PublishRaw(t, rdb, "a", "after it")
			tracetest.AssertReceives(t, sub, "after it")
			if got := s.Reports.WaitFor(t, "receive", "a"); got.Downtime < least {
				t.Errorf("%s: the downtime is %v, want at least %v", tt.reason, got.Downtime, least)
			}
		})
	}
}

func TestAPanickingErrorHandler(t *testing.T) {
	t.Parallel()
	server, rdb := tracetest.StartServer(t)
	var calls atomic.Int32
	s := tracetest.NewSubject(t, server.Addr(), tracedpubsub.WithErrorHandler(func(err error) {
		calls.Add(1)
		panic(err)
	}))
	sub := s.ReadySubscription(t, "a")
	server.Kill()
	tracetest.Eventually(t, "the handler was called twice", func() bool { return calls.Load() >= 2 })
	server.Restart()
	tracetest.WaitForSubscribers(t, rdb, "a", 1)
	tracetest.PublishRaw(t, rdb, "a", "still here")
	tracetest.AssertReceives(t, sub, "still here")
}

// The error handler may use the subscription that it gets a report of.
func TestTheErrorHandlerUsesTheSubscription(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	subscription, used := make(chan *tracedpubsub.PubSub, 1), make(chan error, 1)
	var once sync.Once
	s := tracetest.NewSubject(t, server.Addr(), tracedpubsub.WithErrorHandler(func(error) {
		once.Do(func() {
			sub, ctx := <-subscription, context.Background()
			used <- errors.Join(sub.Unsubscribe(ctx, "goes"), sub.Subscribe(ctx, "comes"), sub.PSubscribe(ctx, "come?"), sub.Ping(ctx))
		})
	}))
	sub := s.ReadySubscription(t, "stays", "goes")
	subscription <- sub
	killConnection(t, rdb)
	select {
	case err := <-used:
		if err != nil {
			t.Errorf("the error handler got %v", err)
		}
	case <-time.After(tracetest.Patience):
		t.Fatal("the error handler has not returned")
	}
	tracetest.WaitReady(t, sub)
	if n := tracetest.Subscribers(t, rdb, "goes"); n != 0 {
		t.Errorf("%d connections are subscribed to the channel that was removed", n)
	}
	tracetest.PublishRaw(t, rdb, "stays", "1")
	tracetest.PublishRaw(t, rdb, "comes", "2")
	tracetest.AssertReceives(t, sub, "1", "2", "2") // once more for the pattern
}

// In either protocol each span that starts ends, and each message has one.
func TestSpansAfterAFault(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: protocol})
			sub := s.ReadySubscription(t, "a")
			if err := s.Publish(t.Context(), "a", "before").Err(); err != nil {
				t.Fatal(err)
			}
			tracetest.Eventually(t, "it has been read", func() bool { return len(sub.Channel()) == 1 })
			server.Restart()
			tracetest.WaitForSubscribers(t, rdb, "a", 1)
			if err := s.Publish(t.Context(), "a", "after").Err(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(tracetest.Context(t))
			defer cancel()
			_ = sub.Process(ctx, func(_ context.Context, m *tracedpubsub.Message) error {
				if m.Payload == "after" {
					cancel()
				}
				return nil
			})
			spans := s.Spans.Spans(t, 4)
			tracetest.AssertParent(t, spans[2], spans[0])
			tracetest.AssertParent(t, spans[3], spans[1])
		})
	}
}

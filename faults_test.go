// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// killConnections ends the subscriptions' connections, and returns when the
// server has done it.
func killConnections(t *testing.T, rdb *redis.Client, want int64) {
	t.Helper()
	n, err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Result()
	if err != nil || n != want {
		t.Fatalf("CLIENT KILL: %d connections, %v; want %d", n, err, want)
	}
}

func TestAKilledConnection(t *testing.T) {
	for _, tt := range consumptions {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := startServer(t)
			s := newSubject(t, server.Addr())
			began := time.Now()
			sub := s.subscribed(t, "a", "b")
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			var loop sync.WaitGroup
			messages := make(chan *tracedpubsub.Message, 10)
			loop.Go(func() {
				tt.consume(ctx, sub, func(m *tracedpubsub.Message) bool {
					messages <- m
					return true
				})
			})
			defer loop.Wait()
			defer cancel()

			killConnections(t, rdb, 1)
			killed := time.Now()
			waitForListeners(t, rdb, "b", 1)
			publishRaw(t, rdb, "a", "after it")
			if m := <-messages; m.Payload != "after it" {
				t.Errorf("got %v", m)
			}
			got := s.reports.first(t, "receive", "a")
			if !slices.Equal(got.Channels, []string{"a", "b"}) {
				t.Errorf("names are %v, want [a b]", got.Channels)
			}
			if longest := got.at.Sub(began); got.Downtime <= 0 || got.Downtime > longest {
				t.Errorf("deaf for %v, want more than nothing, and no more than %v", got.Downtime, longest)
			}
			if sinceKill := got.at.Sub(killed); sinceKill > time.Second {
				t.Errorf("%s: reported after %v", tt.reason, sinceKill)
			}
			if got.Count != 1 || got.Err == nil {
				t.Errorf("count %d, cause %v; want one with a cause", got.Count, got.Err)
			}
			_ = sub.Close() // reports what it still has
			loop.Wait()
			eventuallyHolds(t, "no goroutine is left", func() bool { return len(libraryGoroutines()) == 0 })
			if all := s.reports.all(); len(all) != 1 {
				t.Errorf("one connection was lost, but reported was %v", printed(all))
			}
		})
	}
}

func TestServerRestarts(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		restart      func(t *testing.T, server *redistest.Server, s *subject)
	}{
		{"at once", "the first attempt may or may not find it", func(_ *testing.T, server *redistest.Server, _ *subject) {
			server.Restart()
		}},
		{"after failed attempts", "they are reported, and do not end", func(t *testing.T, server *redistest.Server, s *subject) {
			server.Kill()
			s.reports.wait(t, "the third failed attempt", func(got []trouble) bool {
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
			server, rdb := startServer(t)
			s := newSubject(t, server.Addr())
			sub := s.subscribed(t, "a")
			publishRaw(t, rdb, "a", "before")
			eventuallyHolds(t, "it has been read", func() bool { return len(sub.Channel()) == 1 })
			down := time.Now()
			tt.restart(t, server, s)
			up := time.Now()
			waitForListeners(t, rdb, "a", 1)
			publishRaw(t, rdb, "a", "after")
			assertReceives(t, sub, "before", "after")
			got := s.reports.first(t, "receive", "a")
			if least := up.Sub(down); got.Downtime < least {
				t.Errorf("%s: deaf for %v, but the server was down for %v", tt.reason, got.Downtime, least)
			}
		})
	}
}

func TestNamesChangeWhileTheServerIsDown(t *testing.T) {
	server, rdb := startServer(t)
	s := newSubject(t, server.Addr())
	sub := s.subscribed(t, "stays", "goes")
	server.Kill()
	s.reports.await(t, "connect", "stays")
	ctx := testContext(t)
	if err := errors.Join(sub.Unsubscribe(ctx, "goes"), sub.Subscribe(ctx, "comes"), sub.PSubscribe(ctx, "come?")); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	waitForListeners(t, rdb, "stays", 1)
	waitForListeners(t, rdb, "comes", 1)
	if n := listeners(t, rdb, "goes"); n != 0 {
		t.Errorf("%d connections listen on the channel that was given up", n)
	}
	eventuallyHolds(t, "the pattern is subscribed to", func() bool { return rdb.PubSubNumPat(ctx).Val() == 1 })
	publishRaw(t, rdb, "goes", "nobody hears this")
	publishRaw(t, rdb, "stays", "1")
	publishRaw(t, rdb, "comes", "2")
	assertReceives(t, sub, "1", "2", "2") // for its pattern, too
}

// The connection is lost at a time when nobody would notice. Nothing that had
// come is lost, and the time is counted from when the server was last heard, not
// from when somebody noticed.
func TestLostWhileNobodyReads(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		ready        bool
	}{
		{"never read", "there is not even a goroutine", false},
		{"the consumer is busy", "the goroutine that reads waits for it", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := startServer(t)
			s := newSubject(t, server.Addr(), tracedpubsub.WithChannelSize(0))
			sub := s.subscribe(t, "a")
			if tt.ready {
				mustBeReady(t, sub)
			}
			waitForListeners(t, rdb, "a", 1)
			publishRaw(t, rdb, "a", numbered(0, 5)...)
			if tt.ready {
				assertReceives(t, sub, "0") // and the next one is on its way
			}
			killConnections(t, rdb, 1)
			deaf := time.Now()
			for range 10 {
				server.Restart() // takes its time, in which the subscription is deaf
			}
			deafFor := time.Since(deaf)
			if listeners(t, rdb, "a") != 0 {
				t.Fatal("somebody has noticed: this tests nothing")
			}

			if tt.ready {
				assertReceives(t, sub, numbered(1, 4)...)
			} else {
				assertReceives(t, sub, numbered(0, 5)...)
			}
			waitForListeners(t, rdb, "a", 1)
			publishRaw(t, rdb, "a", "after it")
			assertReceives(t, sub, "after it")
			if got := s.reports.first(t, "receive", "a"); got.Downtime < deafFor {
				t.Errorf("%s: reported as deaf for %v, was for more than %v", tt.reason, got.Downtime, deafFor)
			}
		})
	}
}

func TestAPanickingErrorHandler(t *testing.T) {
	server, rdb := startServer(t)
	var calls atomic.Int32
	s := newSubject(t, server.Addr(), tracedpubsub.WithErrorHandler(func(err error) {
		calls.Add(1)
		panic(err)
	}))
	sub := s.subscribed(t, "a")
	server.Kill()
	eventuallyHolds(t, "the handler was called twice", func() bool { return calls.Load() >= 2 })
	server.Restart()
	waitForListeners(t, rdb, "a", 1)
	publishRaw(t, rdb, "a", "still here")
	assertReceives(t, sub, "still here")
}

// What the error handler hears of may be what it wants to change.
func TestTheErrorHandlerUsesTheSubscription(t *testing.T) {
	server, rdb := startServer(t)
	subscription, used := make(chan *tracedpubsub.PubSub, 1), make(chan error, 1)
	var once sync.Once
	s := newSubject(t, server.Addr(), tracedpubsub.WithErrorHandler(func(error) {
		once.Do(func() {
			sub, ctx := <-subscription, context.Background()
			used <- errors.Join(sub.Unsubscribe(ctx, "goes"), sub.Subscribe(ctx, "comes"), sub.PSubscribe(ctx, "come?"), sub.Ping(ctx))
		})
	}))
	sub := s.subscribed(t, "stays", "goes")
	subscription <- sub
	killConnections(t, rdb, 1)
	select {
	case err := <-used:
		if err != nil {
			t.Errorf("the error handler got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the error handler has not come back")
	}
	mustBeReady(t, sub)
	if n := listeners(t, rdb, "goes"); n != 0 {
		t.Errorf("%d connections listen on the channel that was given up", n)
	}
	publishRaw(t, rdb, "stays", "1")
	publishRaw(t, rdb, "comes", "2")
	assertReceives(t, sub, "1", "2", "2") // for its pattern, too
}

func TestLargeMessages(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			server, _ := startServer(t, unlimited...)
			s := subjectOf(t, &redis.Options{Addr: server.Addr(), Protocol: protocol})
			sub := s.subscribed(t, "a")
			large := strings.Repeat(strings.Repeat("large ", 20)+"\"\n", 8<<20/122)
			for _, payload := range []string{large, "small", large} {
				if err := s.Publish(t.Context(), "a", payload).Err(); err != nil {
					t.Fatal(err)
				}
			}
			assertReceives(t, sub, large, "small", large)
			if reports := s.reports.all(); len(reports) > 0 {
				t.Errorf("nothing went wrong, but reported was %v", printed(reports))
			}
		})
	}
}

// In either protocol, as many spans end as start, and none twice.
func TestSpansAfterAFault(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			server, rdb := startServer(t)
			s := subjectOf(t, &redis.Options{Addr: server.Addr(), Protocol: protocol})
			sub := s.subscribed(t, "a")
			if err := s.Publish(t.Context(), "a", "before").Err(); err != nil {
				t.Fatal(err)
			}
			eventuallyHolds(t, "it has been read", func() bool { return len(sub.Channel()) == 1 })
			server.Restart()
			waitForListeners(t, rdb, "a", 1)
			if err := s.Publish(t.Context(), "a", "after").Err(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(testContext(t))
			defer cancel()
			_ = sub.Process(ctx, func(_ context.Context, m *tracedpubsub.Message) error {
				if m.Payload == "after" {
					cancel()
				}
				return nil
			})
			spans := s.spans.spans(t, 4)
			assertParent(t, spans[2], spans[0])
			assertParent(t, spans[3], spans[1])
		})
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A connection may come up just when it is closed because nothing is subscribed there yet.
func TestShutdownWhileConnecting(t *testing.T) {
	t.Parallel()
	server, _ := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	canceled, cancel := context.WithCancel(tracetest.Context(t))
	cancel()
	for i := range 500 {
		ctx := tracetest.Context(t)
		sub := s.Subscribe(canceled, "a")
		_ = sub.Channel()
		_ = sub.Subscribe(ctx, "b")
		_ = sub.PSubscribe(ctx, "b*")
		tracetest.LetTimePass(time.Duration(i%20) * 100 * time.Microsecond)
		tracetest.ReturnsPromptly(t, "Shutdown", func() {
			if err := sub.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
	s.Reports.AssertNone(t)
}

// While a topic is added to its servers, one of them must not take it for missing on the others.
func TestATopicOnSeveralServersIsAddedAtOnce(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	for range 30 {
		ctx := tracetest.Context(t)
		sub := s.ready(t, s.Subscribe(ctx, "a", "b", "c"))
		if err := sub.PSubscribe(ctx, "*"); err != nil {
			t.Fatal(err)
		}
		tracetest.WaitReady(t, sub)
		_ = sub.Close()
	}
	s.reports.AssertNone(t)
}

// What the servers of a Ring have sent before they unsubscribe is delivered, however long that
// takes.
func TestUnsubscribeOnARing(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	sub := s.ready(t, s.Subscribe(tracetest.Context(t), "a"))
	for _, payload := range tracetest.Numbered(0, waiting) {
		if err := s.ring.Publish(t.Context(), "a", payload).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := sub.Unsubscribe(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	// Health checks take place while the consumer is slow.
	tracetest.LetTimePass(2 * time.Second)
	var got []string
	var loop sync.WaitGroup
	loop.Go(func() {
		for _, m := range sub.Messages(tracetest.Context(t)) {
			got = append(got, m.Payload)
		}
	})
	if err := sub.Shutdown(tracetest.Context(t)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	loop.Wait()
	if !slices.Equal(got, tracetest.Numbered(0, waiting)) {
		t.Errorf("%d messages were handled, want all %d", len(got), waiting)
	}
	s.reports.AssertNone(t)
}

// Shutdown returns nil only if all handlers have returned, whoever else ends the subscription.
func TestShutdownKnowsThatAHandlerRuns(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, sub *tracedpubsub.PubSub)
	}{
		{"Close", func(_ *testing.T, sub *tracedpubsub.PubSub) { _ = sub.Close() }},
		{"another Shutdown", func(t *testing.T, sub *tracedpubsub.PubSub) {
			ctx, cancel := context.WithCancel(tracetest.Context(t))
			cancel()
			if err := sub.Shutdown(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, redis.ErrClosed) {
				t.Errorf("the other Shutdown: %v, want context.Canceled", err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := startShuttingDown(t)
			running, proceed := make(chan struct{}), make(chan struct{})
			d.consume(t, func(context.Context, *tracedpubsub.Message) {
				close(running)
				<-proceed
			})
			tracetest.PublishRaw(t, d.rdb, "a", "one")
			<-running
			returned := make(chan error, 1)
			go func() { returned <- d.sub.Shutdown(tracetest.Context(t)) }()
			tracetest.WaitForSubscribers(t, d.rdb, "a", 0)
			tt.end(t, d.sub)
			if err := <-returned; !errors.Is(err, redis.ErrClosed) {
				t.Errorf("Shutdown: %v while a handler runs, want redis.ErrClosed", err)
			}
			close(proceed)
			tracetest.ReturnsPromptly(t, "the loop", d.loops.Wait)
		})
	}
}

// When several channels are refused together, nobody knows which, and nobody needs to any more.
func TestShutdownBlamesNoChannel(t *testing.T) {
	t.Parallel()
	for range 10 {
		s, _, _ := startACLServer(t, "a", "b")
		sub := s.Subscribe(tracetest.Context(t), "a", "b", "forbidden")
		if err := sub.Shutdown(tracetest.Context(t)); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		s.Reports.AssertNone(t)
	}
}

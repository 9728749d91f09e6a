// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// waiting is how many messages wait when Shutdown is called: more than the buffer holds.
const waiting = 500

// shuttingDown is a subscription that is going to be shut down.
type shuttingDown struct {
	*tracetest.Subject
	sub     *tracedpubsub.PubSub
	rdb     *redis.Client
	handled set
	loops   sync.WaitGroup
}

func startShuttingDown(t *testing.T) *shuttingDown {
	t.Helper()
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	d := &shuttingDown{Subject: s, sub: s.Subscription(t, "a"), rdb: rdb}
	tracetest.WaitForSubscribers(t, rdb, "a", 1)
	return d
}

func (d *shuttingDown) publish(t *testing.T) {
	t.Helper()
	tracetest.PublishRaw(t, d.rdb, "a", tracetest.Numbered(0, waiting)...)
}

// consume starts a loop, which calls each before it counts a message as handled.
func (d *shuttingDown) consume(t *testing.T, each func(context.Context, *tracedpubsub.Message)) {
	ctx := tracetest.Context(t)
	d.loops.Go(func() {
		for ctx, m := range d.sub.Messages(ctx) {
			each(ctx, m)
			d.handled.add(m.Payload)
		}
	})
}

func (d *shuttingDown) consumeFast(t *testing.T) {
	d.consume(t, func(context.Context, *tracedpubsub.Message) {})
}

// ended asserts that all messages were handled, and that all loops and goroutines end.
func (d *shuttingDown) ended(t *testing.T) {
	t.Helper()
	if n := d.handled.size(); n != waiting {
		t.Errorf("%d messages were handled, want %d", n, waiting)
	}
	tracetest.ReturnsPromptly(t, "the loops", d.loops.Wait)
	assertClosed(t, d.sub)
	tracetest.WaitForNoGoroutines(t)
	d.Reports.AssertNone(t)
}

// Without a loop, Shutdown waits for one. It has never been read then.
func TestShutdownWaitsForAConsumer(t *testing.T) {
	d := startShuttingDown(t)
	d.publish(t)
	var shutdown sync.WaitGroup
	shutdown.Go(func() {
		if err := d.sub.Shutdown(tracetest.Context(t)); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	tracetest.WaitForSubscribers(t, d.rdb, "a", 0)
	d.consumeFast(t)
	shutdown.Wait()
	d.ended(t)
}

// A handler that runs when Shutdown is called is not disturbed. Other methods are over.
func TestShutdownWaitsForAHandler(t *testing.T) {
	d := startShuttingDown(t)
	running, proceed := make(chan struct{}), make(chan struct{})
	var first sync.Once
	d.consume(t, func(ctx context.Context, _ *tracedpubsub.Message) {
		first.Do(func() {
			close(running)
			<-proceed
			if err := ctx.Err(); err != nil {
				t.Errorf("the context of the handler: %v", err)
			}
		})
	})
	d.publish(t)
	<-running
	returned := make(chan error, 1)
	go func() { returned <- d.sub.Shutdown(tracetest.Context(t)) }()
	for _, c := range callsAfterClose {
		if c.name == "ReceiveMessage" {
			continue // it may still get one
		}
		tracetest.Eventually(t, c.name+" returns redis.ErrClosed", func() bool { return errors.Is(c.call(d.sub, tracetest.Context(t)), redis.ErrClosed) })
	}
	select {
	case err := <-returned:
		t.Errorf("Shutdown returned %v while a handler ran", err)
	default:
	}
	close(proceed)
	if err := <-returned; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	d.ended(t)
}

func TestShutdownConcurrently(t *testing.T) {
	d := startShuttingDown(t)
	d.publish(t)
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			if err := d.sub.Shutdown(tracetest.Context(t)); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		d.consumeFast(t)
	}
	calls.Wait()
	if err := d.sub.Shutdown(tracetest.Context(t)); err != nil {
		t.Errorf("Shutdown again: %v", err)
	}
	d.ended(t)
}

// Where there is nothing to wait for, Shutdown returns at once.
func TestShutdownWithoutMessages(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		bring        func(t *testing.T) *tracedpubsub.PubSub
	}{
		{"never read", "there is a connection, and no goroutine", func(t *testing.T) *tracedpubsub.PubSub {
			return startShuttingDown(t).sub
		}},
		{"idle", "a loop waits for a message", func(t *testing.T) *tracedpubsub.PubSub {
			d := startShuttingDown(t)
			d.consumeFast(t)
			tracetest.WaitReady(t, d.sub)
			return d.sub
		}},
		{"connecting", "the server does not answer the handshake", func(t *testing.T) *tracedpubsub.PubSub {
			fake := tracetest.StartFakeRedis(t, func(*tracetest.FakeConn, []string) {})
			s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: fake.Addr(), DialTimeout: time.Second, ReadTimeout: time.Second})
			ctx, cancel := context.WithCancel(tracetest.Context(t))
			cancel()
			sub := s.Subscribe(ctx, "a")
			_ = sub.Channel()
			tracetest.Eventually(t, "it connects", func() bool { return fake.Connections() > 0 })
			return sub
		}},
		{"disconnected", "what was lost does not come back", func(t *testing.T) *tracedpubsub.PubSub {
			server, _ := tracetest.StartServer(t)
			s := tracetest.NewSubject(t, server.Addr())
			sub := s.ReadySubscription(t, "a")
			server.Kill()
			s.Reports.Await(t, "connect", "a")
			return sub
		}},
		{"closed", "there is nothing left to do", func(t *testing.T) *tracedpubsub.PubSub {
			sub := startShuttingDown(t).sub
			_ = sub.Close()
			return sub
		}},
		{"refused", "the server has subscribed to nothing", func(t *testing.T) *tracedpubsub.PubSub {
			s, _, _ := startACLServer(t, "a")
			sub := s.Subscription(t, "forbidden", "forbidden too")
			_ = sub.Channel()
			s.Reports.Await(t, "subscribe", "forbidden")
			return sub
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sub := tt.bring(t)
			tracetest.ReturnsPromptly(t, "Shutdown", func() {
				if err := sub.Shutdown(context.Background()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			})
			assertClosed(t, sub)
			tracetest.WaitForNoGoroutines(t)
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

// Refused topics do not keep the messages of others from being handled.
func TestShutdownWithARefusedTopic(t *testing.T) {
	s, rdb, _ := startACLServer(t, "a", "b")
	sub := s.Subscription(t, "a", "forbidden", "b")
	d := &shuttingDown{Subject: s, sub: sub, rdb: rdb}
	_ = sub.Channel()
	tracetest.WaitForSubscribers(t, rdb, "b", 1)
	s.Reports.Await(t, "subscribe", "forbidden")
	d.publish(t)
	d.consumeFast(t)
	if err := sub.Shutdown(tracetest.Context(t)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n := d.handled.size(); n != waiting {
		t.Errorf("%d messages were handled, want %d", n, waiting)
	}
	tracetest.ReturnsPromptly(t, "the loops", d.loops.Wait)
}

// When its context ends, Shutdown drops what is left, and says how much.
func TestShutdownDropsWhenItsContextEnds(t *testing.T) {
	d := startShuttingDown(t)
	d.publish(t)
	tracetest.Eventually(t, "the buffer is full", func() bool { return len(d.sub.Channel()) == cap(d.sub.Channel()) })
	ctx, cancel := context.WithCancel(tracetest.Context(t))
	cancel()
	err := d.sub.Shutdown(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Shutdown: %v, want context.Canceled", err)
	}
	// The buffer holds 100, and what was read in the meantime is dropped as well.
	var dropped int
	if _, err := fmt.Sscanf(err.Error(), "tracedpubsub: %d messages were read and not handled: ", &dropped); err != nil || dropped < 100 {
		t.Errorf("Shutdown has dropped %d messages, want 100 or more (%v)", dropped, err)
	}
	assertClosed(t, d.sub)
	tracetest.WaitForNoGoroutines(t)
}

// From a handler, Shutdown waits for itself, until its context ends.
func TestShutdownFromAHandler(t *testing.T) {
	d := startShuttingDown(t)
	tracetest.WaitReady(t, d.sub)
	ctx, cancel := context.WithTimeout(tracetest.Context(t), 50*time.Millisecond)
	defer cancel()
	d.consume(t, func(context.Context, *tracedpubsub.Message) {
		if err := d.sub.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v, want context.DeadlineExceeded", err)
		}
	})
	tracetest.PublishRaw(t, d.rdb, "a", "one")
	tracetest.ReturnsPromptly(t, "the loop", d.loops.Wait)
}

// Close does not wait for Shutdown, and what it drops is not silent.
func TestCloseDuringShutdown(t *testing.T) {
	d := startShuttingDown(t)
	d.publish(t)
	returned := make(chan error, 1)
	go func() { returned <- d.sub.Shutdown(tracetest.Context(t)) }()
	tracetest.WaitForSubscribers(t, d.rdb, "a", 0)
	tracetest.ReturnsPromptly(t, "Close", func() { _ = d.sub.Close() })
	if err := <-returned; !errors.Is(err, redis.ErrClosed) {
		t.Errorf("Shutdown: %v, want redis.ErrClosed", err)
	}
	tracetest.WaitForNoGoroutines(t)
}

// A connection that is lost meanwhile is not replaced, and reported.
func TestALostConnectionDuringShutdown(t *testing.T) {
	fake := tracetest.StartFakeRedis(t, func(c *tracetest.FakeConn, command []string) {
		if command[0] == "unsubscribe" {
			_ = c.Close()
			return
		}
		c.Answer(command)
	})
	s := tracetest.NewSubject(t, fake.Addr())
	sub := s.ReadySubscription(t, "a")
	tracetest.ReturnsPromptly(t, "Shutdown", func() {
		if err := sub.Shutdown(tracetest.Context(t)); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	tracetest.WaitForNoGoroutines(t)
	if n := fake.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if e := s.Reports.WaitFor(t, "receive", "a"); e.Recovered || e.Downtime <= 0 {
		t.Errorf("reported was %v, want an outage that is not over", e)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// closingState is a subscription in a state in which it is going to be closed.
type closingState struct {
	*tracetest.Subject
	sub  *tracedpubsub.PubSub
	rdb  *redis.Client
	kill func()        // the server
	busy chan struct{} // when it is closed, consumers return from their handlers

	loops sync.WaitGroup
}

// consume starts a loop for each way to consume, which calls each with its messages.
func (e *closingState) consume(t *testing.T, each func(*tracedpubsub.Message)) {
	ctx := tracetest.Context(t)
	for _, way := range tracetest.Consumers {
		e.loops.Go(func() {
			way.Consume(ctx, e.sub, func(m *tracedpubsub.Message) bool {
				each(m)
				return true
			})
		})
	}
}

// ended closes the subscription and asserts that all of it ends promptly.
func (e *closingState) ended(t *testing.T) {
	t.Helper()
	tracetest.ReturnsPromptly(t, "Close", func() { _ = e.sub.Close() })
	close(e.busy)
	tracetest.ReturnsPromptly(t, "the channel is closed", func() {
		for range e.sub.Channel() {
		}
	})
	tracetest.ReturnsPromptly(t, "every loop ends", e.loops.Wait)
	late := time.Now().Add(tracetest.Promptly)
	tracetest.WaitForNoGoroutines(t)
	if time.Now().After(late) {
		t.Errorf("the last goroutine took more than %v to end", tracetest.Promptly)
	}
}

// closingStates are the states in which a subscription may be closed.
var closingStates = []struct {
	name, reason string
	bring        func(t *testing.T, e *closingState) // brings it into the state
}{
	{"never read", "there is a connection, and no goroutine", func(t *testing.T, e *closingState) {
		tracetest.WaitForSubscribers(t, e.rdb, "a", 1)
	}},
	{"never read, something to read", "what waits in the socket does not matter", func(t *testing.T, e *closingState) {
		tracetest.WaitForSubscribers(t, e.rdb, "a", 1)
		tracetest.PublishRaw(t, e.rdb, "a", tracetest.Numbered(0, 500)...)
	}},
	{"idle", "the read is blocked, and so is every consumer", func(t *testing.T, e *closingState) {
		e.consume(t, func(*tracedpubsub.Message) {})
		tracetest.WaitReady(t, e.sub)
	}},
	{"full, nobody consumes", "the goroutine that reads waits for a consumer", func(t *testing.T, e *closingState) {
		tracetest.WaitReady(t, e.sub)
		tracetest.PublishRaw(t, e.rdb, "a", tracetest.Numbered(0, 500)...)
		tracetest.Eventually(t, "the buffer is full", func() bool { return len(e.sub.Channel()) == cap(e.sub.Channel()) })
	}},
	{"consumers are busy", "Close does not wait for them, and they get no more messages", func(t *testing.T, e *closingState) {
		tracetest.WaitReady(t, e.sub)
		var all sync.WaitGroup
		all.Add(len(tracetest.Consumers))
		e.consume(t, func(*tracedpubsub.Message) {
			select {
			case <-e.busy:
			default:
				all.Done()
				<-e.busy
			}
		})
		tracetest.PublishRaw(t, e.rdb, "a", tracetest.Numbered(0, 500)...)
		all.Wait()
	}},
	{"twice", "closing it again is no error", func(_ *testing.T, e *closingState) {
		_ = e.sub.Close()
	}},
	{"concurrently", "Close is safe for concurrent use", func(t *testing.T, e *closingState) {
		e.consume(t, func(*tracedpubsub.Message) {})
		tracetest.PublishRaw(t, e.rdb, "a", tracetest.Numbered(0, 500)...)
		for range 8 {
			e.loops.Go(func() { _ = e.sub.Close() })
		}
	}},
	{"while others use it", "every call returns, and none makes a connection that stays", func(t *testing.T, e *closingState) {
		e.consume(t, func(*tracedpubsub.Message) {})
		ctx := tracetest.Context(t)
		for _, use := range []func() error{
			func() error { return e.sub.Subscribe(ctx, "b", "c") },
			func() error { return e.sub.Unsubscribe(ctx, "b") },
			func() error { return e.sub.Ready(ctx) },
			func() error { return e.sub.Ping(ctx) },
		} {
			used := make(chan struct{})
			e.loops.Go(func() {
				for i := 0; ; i++ {
					err := use()
					if i == 0 {
						close(used)
					}
					if errors.Is(err, redis.ErrClosed) {
						return
					}
				}
			})
			<-used
		}
	}},
	{"the server is down", "the subscription waits for its next attempt to connect", func(t *testing.T, e *closingState) {
		tracetest.WaitReady(t, e.sub)
		e.consume(t, func(*tracedpubsub.Message) {})
		e.kill()
		e.Reports.Await(t, "connect", "a")
	}},
	{"the client is closed", "it cannot connect any more, which is reported", func(t *testing.T, e *closingState) {
		tracetest.WaitReady(t, e.sub)
		e.consume(t, func(*tracedpubsub.Message) {})
		_ = e.Subject.RDB.Close()
		if err := e.Reports.WaitFor(t, "connect", "a"); !errors.Is(err, redis.ErrClosed) {
			t.Errorf("reported was %v, want redis.ErrClosed", err)
		}
	}},
}

// Close ends everything promptly, in any state.
func TestClose(t *testing.T) {
	for _, tt := range closingStates {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubject(t, server.Addr())
			e := &closingState{Subject: s, sub: s.Subscription(t, "a"), rdb: rdb, kill: server.Kill, busy: make(chan struct{})}
			tt.bring(t, e)
			e.ended(t)
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

func TestCloseFromInside(t *testing.T) {
	t.Parallel()
	for _, tt := range tracetest.Consumers {
		t.Run(tt.Name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubject(t, server.Addr())
			sub := s.ReadySubscription(t, "a")
			tracetest.PublishRaw(t, rdb, "a", tracetest.Numbered(0, 500)...)
			bodies := 0
			tracetest.ReturnsPromptly(t, tt.Name+" whose body closes the subscription", func() {
				tt.Consume(tracetest.Context(t), sub, func(*tracedpubsub.Message) bool {
					if bodies++; bodies == 1 {
						_ = sub.Close()
					}
					return true
				})
			})
			if bodies != 1 {
				t.Errorf("%s: %d messages were delivered after Close", tt.Reason, bodies-1)
			}
			if err := sub.Ready(t.Context()); !errors.Is(err, redis.ErrClosed) {
				t.Errorf("Ready: %v, want redis.ErrClosed", err)
			}
		})
	}
}

// The error handler is called on the goroutine that reads, which Close ends.
func TestCloseFromTheErrorHandler(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	subscription, closed := make(chan *tracedpubsub.PubSub, 1), make(chan time.Duration, 1)
	var once sync.Once
	s := tracetest.NewSubject(t, server.Addr(), tracedpubsub.WithErrorHandler(func(error) {
		once.Do(func() {
			sub, began := <-subscription, time.Now()
			_ = sub.Close()
			closed <- time.Since(began)
		})
	}))
	sub := s.ReadySubscription(t, "a")
	subscription <- sub
	killConnection(t, rdb)
	tracetest.ReturnsPromptly(t, "a loop whose subscription the error handler closes", func() {
		for range sub.Messages(tracetest.Context(t)) {
		}
	})
	select {
	case took := <-closed:
		if took > tracetest.Promptly {
			t.Errorf("Close took %v", took)
		}
	case <-time.After(tracetest.Patience):
		t.Fatal("Close has not returned to the error handler")
	}
	tracetest.WaitForNoGoroutines(t)
}

// A handshake of go-redis that is under way ends within the timeouts of the client.
func TestCloseInAHandshake(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for _, tt := range []struct {
		name, reason string
		answered     int // how many connections the server answers
	}{
		{"first", "the handshake of Subscribe has timed out, and the next one is under way", 0},
		{"reconnecting", "the connection was lost, and the server does not answer any more", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shaking := make(chan int, 100)
			fake := tracetest.StartFakeRedis(t, func(c *tracetest.FakeConn, command []string) {
				switch {
				case c.Number > tt.answered:
					shaking <- c.Number
				case command[0] == "subscribe":
					c.Answer(command)
					_ = c.Close()
				default:
					c.Answer(command)
				}
			})
			s := tracetest.NewSubjectWithOptions(t, &redis.Options{
				Addr: fake.Addr(), DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, DialerRetries: 1,
			})
			sub := s.Subscription(t, "a")
			e := &closingState{Subject: s, sub: sub, busy: make(chan struct{})}
			e.consume(t, func(*tracedpubsub.Message) {})
			for number := range shaking {
				if number > 1 { // the first one of the row "first" was Subscribe's own
					break
				}
			}
			e.ended(t) // twice the timeout is less than the second that it allows
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

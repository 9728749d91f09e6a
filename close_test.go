// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// closingState is a subscription that is about to be closed.
type closingState struct {
	*subject
	sub  *tracedpubsub.PubSub
	rdb  *redis.Client
	kill func()        // the server
	busy chan struct{} // closed: consumers that are in their handler may go on

	loops sync.WaitGroup
}

// consume starts a loop in each way; each is told of the messages.
func (e *closingState) consume(t *testing.T, each func(*tracedpubsub.Message)) {
	ctx := testContext(t)
	for _, way := range consumptions {
		e.loops.Go(func() {
			way.consume(ctx, e.sub, func(m *tracedpubsub.Message) bool {
				each(m)
				return true
			})
		})
	}
}

// ended asserts that Close, when it is called now, does all that it promises.
func (e *closingState) ended(t *testing.T) {
	t.Helper()
	returnsPromptly(t, "Close", func() { _ = e.sub.Close() })
	close(e.busy)
	returnsPromptly(t, "the channel is closed", func() {
		for range e.sub.Channel() {
		}
	})
	returnsPromptly(t, "every loop ends", e.loops.Wait)
	late := time.Now().Add(promptly)
	eventuallyHolds(t, "no goroutine is left", func() bool { return len(libraryGoroutines()) == 0 })
	if time.Now().After(late) {
		t.Errorf("the last goroutine took more than %v to end", promptly)
	}
}

func TestClose(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		bring        func(t *testing.T, e *closingState) // into the state in which it is closed
	}{
		{"never read", "there is a connection, and no goroutine", func(t *testing.T, e *closingState) {
			waitForListeners(t, e.rdb, "a", 1)
		}},
		{"never read, something to read", "what waits in the socket keeps nobody", func(t *testing.T, e *closingState) {
			waitForListeners(t, e.rdb, "a", 1)
			publishRaw(t, e.rdb, "a", numbered(0, 500)...)
		}},
		{"idle", "the read is blocked, and so is every consumer", func(t *testing.T, e *closingState) {
			e.consume(t, func(*tracedpubsub.Message) {})
			mustBeReady(t, e.sub)
		}},
		{"full, nobody consumes", "the goroutine that reads is blocked in handing over", func(t *testing.T, e *closingState) {
			mustBeReady(t, e.sub)
			publishRaw(t, e.rdb, "a", numbered(0, 500)...)
			eventuallyHolds(t, "the buffer is full", func() bool { return len(e.sub.Channel()) == cap(e.sub.Channel()) })
		}},
		{"consumers are busy", "Close does not wait for them, and they get no more", func(t *testing.T, e *closingState) {
			mustBeReady(t, e.sub)
			var all sync.WaitGroup
			all.Add(len(consumptions))
			e.consume(t, func(*tracedpubsub.Message) {
				select {
				case <-e.busy:
				default:
					all.Done()
					<-e.busy
				}
			})
			publishRaw(t, e.rdb, "a", numbered(0, 500)...)
			all.Wait()
		}},
		{"twice", "closing what is closed is no error", func(_ *testing.T, e *closingState) {
			_ = e.sub.Close()
		}},
		{"concurrently", "everybody may close it", func(t *testing.T, e *closingState) {
			e.consume(t, func(*tracedpubsub.Message) {})
			publishRaw(t, e.rdb, "a", numbered(0, 500)...)
			for range 8 {
				e.loops.Go(func() { _ = e.sub.Close() })
			}
		}},
		{"while others use it", "no call is left behind, and none makes a connection that stays", func(t *testing.T, e *closingState) {
			e.consume(t, func(*tracedpubsub.Message) {})
			ctx := testContext(t)
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
		{"the server is down", "it waits for the next attempt to connect", func(t *testing.T, e *closingState) {
			mustBeReady(t, e.sub)
			e.consume(t, func(*tracedpubsub.Message) {})
			e.kill()
			e.reports.await(t, "connect", "a")
		}},
		{"the client is closed", "it cannot connect any more, and says so", func(t *testing.T, e *closingState) {
			mustBeReady(t, e.sub)
			e.consume(t, func(*tracedpubsub.Message) {})
			_ = e.subject.rdb.Close()
			if err := e.reports.first(t, "connect", "a"); !errors.Is(err, redis.ErrClosed) {
				t.Errorf("reported was %v, want redis.ErrClosed", err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := startServer(t)
			s := newSubject(t, server.Addr())
			e := &closingState{subject: s, sub: s.subscribe(t, "a"), rdb: rdb, kill: server.Kill, busy: make(chan struct{})}
			tt.bring(t, e)
			e.ended(t)
			if t.Failed() {
				t.Logf("this row is here because: %s", tt.reason)
			}
		})
	}
}

func TestCloseFromInside(t *testing.T) {
	for _, tt := range consumptions {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := startServer(t)
			s := newSubject(t, server.Addr())
			sub := s.subscribed(t, "a")
			publishRaw(t, rdb, "a", numbered(0, 500)...)
			bodies := 0
			returnsPromptly(t, tt.name+" whose body closes the subscription", func() {
				tt.consume(testContext(t), sub, func(*tracedpubsub.Message) bool {
					if bodies++; bodies == 1 {
						_ = sub.Close()
					}
					return true
				})
			})
			// A channel is closed behind what it holds; the others take no more.
			if tt.name != "Channel" && bodies != 1 {
				t.Errorf("%s: %d messages were handed over after Close", tt.reason, bodies-1)
			}
			if err := sub.Ready(t.Context()); !errors.Is(err, redis.ErrClosed) {
				t.Errorf("Ready: %v, want redis.ErrClosed", err)
			}
		})
	}
}

// The error handler is called on the goroutine that reads, which Close ends.
func TestCloseFromTheErrorHandler(t *testing.T) {
	server, rdb := startServer(t)
	subscription, closed := make(chan *tracedpubsub.PubSub, 1), make(chan time.Duration, 1)
	var once sync.Once
	s := newSubject(t, server.Addr(), tracedpubsub.WithErrorHandler(func(error) {
		once.Do(func() {
			sub, began := <-subscription, time.Now()
			_ = sub.Close()
			closed <- time.Since(began)
		})
	}))
	sub := s.subscribed(t, "a")
	subscription <- sub
	if err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	returnsPromptly(t, "a loop whose subscription the error handler closes", func() {
		for range sub.Messages(testContext(t)) {
		}
	})
	select {
	case took := <-closed:
		if took > promptly {
			t.Errorf("Close took %v", took)
		}
	case <-time.After(patience):
		t.Fatal("Close has not returned to the error handler")
	}
	eventuallyHolds(t, "no goroutine is left", func() bool { return len(libraryGoroutines()) == 0 })
}

// What go-redis is in the middle of ends within the timeouts of the client.
func TestCloseInAHandshake(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for _, tt := range []struct {
		name, reason string
		answered     int // connections that are
	}{
		{"first", "Subscribe has given up on the handshake, and the next one is under way", 0},
		{"reconnecting", "the connection was lost, and the server has stopped to answer", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shaking := make(chan int, 100)
			fake := startFakeRedis(t, func(c *fakeConn, command []string) {
				switch {
				case c.number > tt.answered:
					shaking <- c.number
				case command[0] == "subscribe":
					c.answer(command)
					_ = c.Close()
				default:
					c.answer(command)
				}
			})
			s := subjectOf(t, &redis.Options{
				Addr: fake.addr(), DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, DialerRetries: 1,
			})
			sub := s.subscribe(t, "a")
			e := &closingState{subject: s, sub: sub, busy: make(chan struct{})}
			e.consume(t, func(*tracedpubsub.Message) {})
			for number := range shaking {
				if number > 1 { // the first one of the row "first" was Subscribe's own
					break
				}
			}
			e.ended(t) // 600 ms are less than the second that it allows
			if t.Failed() {
				t.Logf("this row is here because: %s", tt.reason)
			}
		})
	}
}

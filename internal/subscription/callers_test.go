// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// An Observer may use the Subscription: its commands are written while Report runs.
func TestAnObserverMaySubscribe(t *testing.T) {
	s := new(server)
	synctest.Test(t, func(t *testing.T) {
		o := &subscribingObserver{t: t}
		o.sub = subscription.New(subscription.Config{Client: s.client(t), Deliver: o.deliver, Observer: o, PingSilence: 5 * time.Second})
		defer o.sub.Close()
		mustSubscribe(t, o.sub, subscription.Channels, "a", "b")
		s.ignore("subscribe")
		s.cut()
		synctest.Wait()
		pass(100 * time.Millisecond) // it is connected again, and the topics are in an outage
		s.ignore("")
		o.use.Store(true)
		began := time.Now()
		if err := o.sub.Unsubscribe(t.Context(), subscription.Channels, "a"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 0 || o.use.Load() {
			t.Errorf("Unsubscribe, whose report subscribes, took %v; it was used: %v", took, !o.use.Load())
		}
		s.cut() // the command that was ignored stays so
		mustBeReadyInTheEnd(t, o.sub)
		if got := o.sub.Topics(subscription.Channels); !slices.Equal(got, []string{"b", "c"}) {
			t.Errorf("topics are %q, want b and c", got)
		}
	})
}

// subscribingObserver subscribes when it gets the first report after use is set.
type subscribingObserver struct {
	log

	t   *testing.T
	sub *subscription.Subscription
	use atomic.Bool
}

func (*subscribingObserver) Closed() {}

func (o *subscribingObserver) Report(*subscription.Failure) {
	if !o.use.CompareAndSwap(true, false) {
		return
	}
	if err := o.sub.Subscribe(o.t.Context(), subscription.Channels, "c"); err != nil {
		o.t.Errorf("Subscribe: %v", err)
	}
}

// While a lost connection is replaced, calls do not wait for the dial.
func TestCallsDoNotWaitForAReconnect(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, _ *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		s.slow(5 * time.Second)
		s.cut()
		pass(time.Second)
		began := time.Now()
		if err := sub.Subscribe(t.Context(), subscription.Channels, "b"); err != nil {
			t.Errorf("Subscribe: %v", err)
		}
		if err := sub.Unsubscribe(t.Context(), subscription.Channels, "a"); err != nil {
			t.Errorf("Unsubscribe: %v", err)
		}
		if err := sub.Ping(t.Context()); err == nil {
			t.Error("Ping without a connection: no error")
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the calls took %v", took)
		}
		mustBeReady(t, sub)
		s.push("message", "b", "1")
		synctest.Wait()
		if got := s.commands("unsubscribe"); len(got) != 1 {
			t.Errorf("commands are %q, want that a is unsubscribed from", got)
		}
	})
}

// Two calls connect before Start. The dial of the first ends with its context.
func TestEachCallConnects(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		s.slow(2 * time.Second)
		var calls sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls.Go(func() {
			if err := sub.Subscribe(ctx, subscription.Channels, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Subscribe with a context that ends: %v", err)
			}
		})
		synctest.Wait()
		calls.Go(func() {
			if err := sub.Subscribe(t.Context(), subscription.Channels, "b"); err != nil {
				t.Errorf("Subscribe: %v", err)
			}
		})
		calls.Wait()
		synctest.Wait()
		if got := s.commands("subscribe"); len(got) != 1 || len(got[0]) != 3 {
			t.Errorf("commands are %q, want both channels", got)
		}
		if n := l.failed(); n != 1 {
			t.Errorf("%d failures are counted, want that of the first dial", n)
		}
		mustBeReady(t, sub)
	})
}

// What ends because of Close is no failure, whatever is under way.
func TestCloseWhileDialing(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			rdb := redis.NewClient(&redis.Options{
				Addr: "127.0.0.1:6379", MaxRetries: -1, DialerRetries: 1,
				Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				},
			})
			defer rdb.Close()
			l := new(log)
			sub := subscription.New(subscription.Config{Client: rdb, Deliver: l.deliver, Observer: l, PingSilence: 5 * time.Second})
			sub.Start()
			if err := sub.Subscribe(t.Context(), subscription.Channels, "a"); err != nil {
				t.Fatal(err)
			}
			var others sync.WaitGroup
			for range 4 {
				others.Go(func() {
					for range 50 {
						_ = sub.Topics(subscription.Channels)
					}
				})
			}
			sub.Close()
			others.Wait()
			synctest.Wait()
			if reports := l.take(); len(reports) > 0 || l.failed() > 0 {
				t.Errorf("%d failures were counted, and reported was %v", l.failed(), reports)
			}
		})
	}
}

// A subscription ends with its client, also before it has topics.
func TestAClosedClientEndsTheSubscription(t *testing.T) {
	for _, topics := range [][]string{nil, {"a", "b"}} {
		s := new(server)
		var rdb *redis.Client
		inBubble(t, func(t *testing.T) subscription.Subscriber {
			rdb = s.client(t)
			return rdb
		}, func(t *testing.T, sub *subscription.Subscription, l *log) {
			if err := sub.Subscribe(t.Context(), subscription.Channels, topics...); err != nil {
				t.Fatal(err)
			}
			sub.Start()
			pass(3 * time.Second)
			_ = rdb.Close()
			pass(time.Second)
			assertEnded(t, sub, l, topics)
			pass(time.Minute)
			if n := len(s.dialed()); n != 1 {
				t.Errorf("%d connections were made, want the first alone", n)
			}
		})
	}
}

// assertEnded asserts that the end of the client was reported, once, and that sub is closed.
func assertEnded(t *testing.T, sub *subscription.Subscription, l *log, topics []string) {
	t.Helper()
	reports := l.take()
	if len(reports) != 1 || reports[0].Recovered || !errors.Is(reports[0], redis.ErrClosed) || !slices.Equal(reports[0].Channels, topics) {
		t.Errorf("reported was %v, want once that the client of %q is closed", reports, topics)
	}
	if l.closed != 1 {
		t.Errorf("Closed was called %d times", l.closed)
	}
	if err := sub.Ready(t.Context()); err != redis.ErrClosed { //nolint:errorlint // itself, as go-redis returns it
		t.Errorf("Ready: %v", err)
	}
}

// A cluster closes the client of a node that it has lost. The subscription goes on. When all
// are closed, it ends.
func TestAClosedNodeIsNotTheEnd(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, _ [2]*server) {
		mustSubscribe(t, sub, subscription.ShardChannels, "a")
		both.change(func() { both.owner = 1 })
		_ = both.clients[0].Close()
		pass(2 * time.Second)
		mustBeReady(t, sub)
		if reports := l.take(); len(reports) != 1 || !reports[0].Recovered {
			t.Errorf("reported was %v, want that a has recovered", reports)
		}
		_ = both.clients[1].Close()
		pass(2 * time.Second)
		assertEnded(t, sub, l, []string{"a"})
	})
}

// A PING connects if there is nothing to subscribe to.
func TestPingConnects(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		if err := sub.Ping(t.Context(), "hello"); err != nil {
			t.Fatalf("Ping: %v", err)
		}
		mustSubscribe(t, sub, subscription.Channels, "a")
		if n := len(s.dialed()); n != 1 {
			t.Errorf("%d connections were made, want one", n)
		}
		if got := s.commands("ping"); len(got) != 1 {
			t.Errorf("commands are %q, want one", got)
		}
		if reports := l.take(); len(reports) > 0 {
			t.Errorf("reported was %v", reports)
		}
	})
}

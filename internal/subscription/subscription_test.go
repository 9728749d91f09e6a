// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

func TestMessagesAreDelivered(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a", "b")
		s.push("message", "b", "1")
		s.push("message", "a", "2")
		synctest.Wait()
		if got, want := l.received(), []string{"b: 1", "a: 2"}; !slices.Equal(got, want) {
			t.Errorf("received %q, want %q", got, want)
		}
		if got := sub.Topics(subscription.Channels); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("topics are %q, want a and b", got)
		}
		if reports := l.take(); len(reports) > 0 {
			t.Errorf("nothing went wrong, but reported was %v", reports[0])
		}
	})
}

// The server is cut off for two seconds. The report says so when it is over.
func TestALostConnectionIsReplaced(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a", "b")
		began := time.Now()
		pass(3 * time.Second)
		s.set(&s.down, true)
		s.cut()
		pass(2 * time.Second)
		s.set(&s.down, false)
		mustBeReadyInTheEnd(t, sub)
		synctest.Wait()
		reports := l.take()
		last := reports[len(reports)-1]
		if !last.Recovered || last.Op != "receive" || !slices.Equal(last.Channels, []string{"a", "b"}) {
			t.Errorf("the last report is %+v, want that a and b have recovered", last.Failure)
		}
		// The last reply of the server was its confirmation.
		if from := last.at.Add(-last.Downtime); !from.Equal(began) {
			t.Errorf("downtime since %v, want since %v", from, began)
		}
		if first := reports[0]; first.Recovered || first.Op != "connect" || !errors.Is(first.Err, errDown) {
			t.Errorf("the first report is %+v, want that connecting failed", first.Failure)
		}
		if l.reconnects != 1 {
			t.Errorf("%d reconnects, want 1", l.reconnects)
		}
	})
}

// mustBeReadyInTheEnd is for a subscription that an attempt may still fail for.
func mustBeReadyInTheEnd(t *testing.T, sub *subscription.Subscription) {
	t.Helper()
	for sub.Ready(t.Context()) != nil {
		pass(10 * time.Millisecond)
	}
}

// Each attempt but the first waits twice as long as the one before, less up to a half,
// until a second is reached.
func TestRetryDelaysGrow(t *testing.T) {
	s := &server{down: true}
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, _ *log) {
		if err := sub.Subscribe(t.Context(), subscription.Channels, "a"); !errors.Is(err, errDown) {
			t.Fatalf("Subscribe: %v, want that connecting failed", err)
		}
		sub.Start()
		pass(20 * time.Second)
		dials := s.dialed()[1:] // the first one is that of Subscribe
		longest := 20 * time.Millisecond
		for i := 1; i < len(dials); i++ {
			if gap := dials[i].Sub(dials[i-1]); gap < longest/2 || gap > longest {
				t.Errorf("attempt %d came after %v, want between %v and %v", i, gap, longest/2, longest)
			}
			longest = min(2*longest, time.Second)
		}
		if n := len(dials); n < 20 || n > 50 {
			t.Errorf("%d attempts in 20 s", n)
		}
	})
}

// Failures that repeat are one report a second.
func TestRepeatsAreOneReport(t *testing.T) {
	s := &server{down: true}
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		_ = sub.Subscribe(t.Context(), subscription.Channels, "a")
		sub.Start()
		pass(10 * time.Second)
		sub.Close()
		synctest.Wait()
		count := 0
		reports := l.take()
		for i, r := range reports {
			count += r.Count
			if i > 0 && i < len(reports)-1 && r.at.Sub(reports[i-1].at) < time.Second {
				t.Errorf("report %d came %v after the one before", i, r.at.Sub(reports[i-1].at))
			}
		}
		if count != len(l.failures) || count != len(s.dialed()) {
			t.Errorf("%d failures were reported, and %d counted, of %d attempts", count, len(l.failures), len(s.dialed()))
		}
	})
}

func TestASilentServerIsLeft(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		pass(time.Minute) // in which PINGs are answered
		if n := len(s.commands("ping")); n < 8 || n > 12 {
			t.Errorf("%d PINGs in a minute", n)
		}
		if len(s.dialed()) != 1 {
			t.Fatalf("%d connections to a server that answers", len(s.dialed()))
		}
		s.silence()
		silent := time.Now()
		pass(25 * time.Second)
		mustBeReady(t, sub)
		if len(s.dialed()) != 2 || s.dialed()[1].Sub(silent) > 20*time.Second {
			t.Errorf("connections were made at %v, want a second one at most 20 s after %v", s.dialed(), silent)
		}
		reports := l.take()
		last := reports[len(reports)-1]
		if !last.Recovered || !errors.Is(last.Err, subscription.ErrSilent) || last.at.Add(-last.Downtime).After(silent) {
			t.Errorf("the last report is %+v, want an outage from before %v", last.Failure, silent)
		}
	})
}

// A consumer that takes its time is no silent server.
func TestABusyConsumerKeepsTheConnection(t *testing.T) {
	s := new(server)
	block := make(chan struct{})
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		block = make(chan struct{})
		sub := subscription.New(subscription.Config{Client: s.client(t), Observer: l, Deliver: func(*redis.Message) { <-block }})
		defer sub.Close()
		mustSubscribe(t, sub, subscription.Channels, "a")
		s.push("message", "a", "1")
		pass(time.Minute)
		close(block)
		pass(time.Minute)
		if len(s.dialed()) != 1 || len(l.take()) > 0 {
			t.Errorf("%d connections, want the first one alone", len(s.dialed()))
		}
	})
}

// While messages come, PINGs prove until when they have been received.
func TestDowntimeReachesBackToTheLastReply(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		for range 30 {
			s.push("message", "a", "x")
			pass(100 * time.Millisecond)
		}
		cut := time.Now()
		s.cut()
		synctest.Wait() // the loss is noticed
		mustBeReadyInTheEnd(t, sub)
		synctest.Wait()
		last := l.take()[0]
		if from := last.at.Add(-last.Downtime); from.After(cut) || cut.Sub(from) > 1100*time.Millisecond {
			t.Errorf("downtime since %v, want since at most 1.1 s before %v", from, cut)
		}
	})
}

// One topic of many is refused. The others are received, and it is named.
func TestARefusedTopicIsFound(t *testing.T) {
	var mu = make(chan struct{}, 1)
	allowed := false
	s := &server{refuse: func(command []string) string {
		mu <- struct{}{}
		defer func() { <-mu }()
		if command[0] == "subscribe" && !allowed && slices.Contains(command, "secret") {
			return "NOPERM no permissions"
		}
		return ""
	}}
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		names := []string{"a", "b", "c", "d", "secret", "e", "f"}
		if err := sub.Subscribe(t.Context(), subscription.Channels, names...); err != nil {
			t.Fatal(err)
		}
		err := sub.Ready(t.Context())
		var f *subscription.Failure
		if !errors.As(err, &f) || f.Op != "subscribe" || !slices.Equal(f.Channels, []string{"secret"}) {
			t.Fatalf("Ready: %#v, want a Failure about the secret channel", err)
		}
		s.push("message", "f", "1")
		synctest.Wait()
		if got := l.received(); !slices.Equal(got, []string{"f: 1"}) {
			t.Errorf("received %q, want the message on f", got)
		}
		mu <- struct{}{}
		allowed = true
		<-mu
		pass(1100 * time.Millisecond) // it is subscribed to again each second
		mustBeReady(t, sub)
	})
}

// A peer that does not read keeps no call longer than its context allows, and is left as a
// silent one is.
func TestAStalledPeer(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		s.set(&s.stalled, true)
		pass(6500 * time.Millisecond) // the answer to a PING was the last; no check is under way
		stalled := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := sub.Subscribe(ctx, subscription.Channels, "b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Subscribe: %v, want that its context has ended", err)
		}
		if took := time.Since(stalled); took != time.Second {
			t.Errorf("Subscribe returned after %v, want a second", took)
		}
		s.set(&s.stalled, false)
		mustBeReadyInTheEnd(t, sub)
		if got := sub.Topics(subscription.Channels); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("topics are %q, want a and b", got)
		}
	})
}

// A panic in a function of the client's options is a failure like others.
func TestAPanickingDialerIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		defer s.cut() // go-redis has lost the connection
		options := s.client(t).Options()
		options.OnConnect = func(context.Context, *redis.Conn) error { panic("no luck") }
		rdb := redis.NewClient(options)
		defer rdb.Close()
		l := new(log)
		sub := subscription.New(subscription.Config{Client: rdb, Deliver: l.deliver, Observer: l, PingSilence: 5 * time.Second})
		defer sub.Close()
		if err := sub.Subscribe(t.Context(), subscription.Channels, "a"); err == nil {
			t.Error("Subscribe returned no error")
		}
		var f *subscription.Failure
		if err := sub.Ready(t.Context()); !errors.As(err, &f) || f.Op != "connect" {
			t.Errorf("Ready: %v, want a Failure to connect", err)
		}
	})
}

// A refused PING is a reply: the server is alive.
func TestARefusedPingKeepsTheConnection(t *testing.T) {
	s := &server{refuse: func(command []string) string {
		if command[0] == "ping" {
			return "NOPERM this user has no permissions to run the 'ping' command"
		}
		return ""
	}}
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		pass(2 * time.Minute)
		if n := len(s.commands("ping")); n < 10 {
			t.Errorf("%d PINGs in two minutes: this tests nothing", n)
		}
		if len(s.dialed()) != 1 || len(l.take()) > 0 || l.failed() > 0 {
			t.Errorf("%d connections and %d failures, want the first connection alone", len(s.dialed()), l.failed())
		}
	})
}

// A failure is counted before Ready returns it.
func TestAFailureIsCountedFirst(t *testing.T) {
	s := &server{refuse: func(command []string) string {
		if command[0] == "subscribe" {
			return "NOPERM no permissions"
		}
		return ""
	}}
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		if err := sub.Subscribe(t.Context(), subscription.Channels, "a"); err != nil {
			t.Fatal(err)
		}
		if err := sub.Ready(t.Context()); err == nil {
			t.Error("Ready returned nil for a channel that is refused")
		}
		if n := l.failed(); n != 1 {
			t.Errorf("%d failures are counted, want 1", n)
		}
	})
}

func TestClosedReturnsErrClosed(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, _ *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		sub.Close()
		sub.Close()
		for name, call := range map[string]func() error{
			"Ready":       func() error { return sub.Ready(t.Context()) },
			"Subscribe":   func() error { return sub.Subscribe(t.Context(), subscription.Channels, "b") },
			"Unsubscribe": func() error { return sub.Unsubscribe(t.Context(), subscription.Channels) },
			"Ping":        func() error { return sub.Ping(t.Context()) },
		} {
			if err := call(); !errors.Is(err, redis.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", name, err)
			}
		}
	})
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// callsAfterClose are the methods that return redis.ErrClosed when the subscription is closed.
var callsAfterClose = []struct {
	name string
	call func(p *tracedpubsub.PubSub, ctx context.Context) error
}{
	{"Ready", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.Ready(ctx) }},
	{"ReceiveMessage", func(p *tracedpubsub.PubSub, ctx context.Context) error { _, err := p.ReceiveMessage(ctx); return err }},
	{"Subscribe", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.Subscribe(ctx, "b") }},
	{"PSubscribe", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.PSubscribe(ctx, "b") }},
	{"SSubscribe", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.SSubscribe(ctx, "b") }},
	{"Unsubscribe", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.Unsubscribe(ctx, "a") }},
	{"PUnsubscribe", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.PUnsubscribe(ctx) }},
	{"SUnsubscribe", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.SUnsubscribe(ctx) }},
	{"Ping", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.Ping(ctx) }},
}

// assertClosed asserts that every method of a closed subscription returns redis.ErrClosed
// or ends.
func assertClosed(t *testing.T, sub *tracedpubsub.PubSub) {
	t.Helper()
	ctx := tracetest.Context(t)
	for _, c := range slices.Concat(callsAfterClose, callsAfterClose) { // no call changes the result of the next one
		if err := c.call(sub, ctx); err != redis.ErrClosed { //nolint:errorlint // programs that come from go-redis compare like that
			t.Errorf("%s returned %v, want redis.ErrClosed itself", c.name, err)
		}
	}
	if err := sub.Process(ctx, nil); err != nil {
		t.Errorf("Process returned %v, want nil", err)
	}
	for range sub.Messages(ctx) {
		t.Error("Messages still had one")
	}
	if _, ok := <-sub.Channel(); ok {
		t.Error("Channel still had one")
	}
	if err := sub.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	_ = sub.String()
}

// Every method of a closed subscription returns redis.ErrClosed or ends, no matter what
// state the subscription was in.
func TestAfterClose(t *testing.T) {
	server, _ := tracetest.StartServer(t)
	gone, _ := tracetest.StartServer(t)
	gone.Kill()
	closedSubscriptions := []struct {
		name, reason, addr string
		use                func(*tracedpubsub.PubSub)
	}{
		{"read", "the state in which most are closed", server.Addr(), func(sub *tracedpubsub.PubSub) { tracetest.WaitReady(t, sub) }},
		{"never read", "no goroutine has ever run", server.Addr(), func(*tracedpubsub.PubSub) {}},
		{"never connected", "redis.ErrClosed takes precedence over the failure to connect", gone.Addr(), func(*tracedpubsub.PubSub) {}},
	}
	for _, tt := range closedSubscriptions {
		t.Run(tt.name, func(t *testing.T) {
			sub := tracetest.NewSubject(t, tt.addr).Subscription(t, "a")
			tt.use(sub)
			if err := sub.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			assertClosed(t, sub)
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

// The same holds for every client and every kind of topic.
func TestAfterCloseOfEachClient(t *testing.T) {
	t.Parallel()
	server, _ := tracetest.StartServer(t)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": server.Addr()}})
	t.Cleanup(func() { _ = ring.Close() })
	for name, rdb := range map[string]redis.UniversalClient{
		"RESP2":   tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: 2}).RDB,
		"RESP3":   tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: 3}).RDB,
		"Ring":    ring,
		"cluster": redistest.StartCluster(t).Client(),
	} {
		for _, kind := range topicKinds {
			t.Run(name+"/"+kind.name, func(t *testing.T) {
				sub := tracetest.ReadySub(t, kind.start(tracedpubsub.Wrap(rdb), tracetest.Context(t), "a"))
				_ = sub.Close()
				assertClosed(t, sub)
			})
		}
	}
}

// Calls that wait return the same when the subscription is closed.
func TestCloseEndsCallsThatWait(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		for _, wait := range []struct {
			name, reason string
			call         func(p *tracedpubsub.PubSub, ctx context.Context) error
			want         error
		}{
			{"ReceiveMessage", "as that of go-redis", func(p *tracedpubsub.PubSub, ctx context.Context) error { _, err := p.ReceiveMessage(ctx); return err }, redis.ErrClosed},
			{"Ready", "the server never confirms the channel", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.Ready(ctx) }, redis.ErrClosed},
			{"Process", "the loop has ended as it should", func(p *tracedpubsub.PubSub, ctx context.Context) error { return p.Process(ctx, nil) }, nil},
			{"Messages", "a loop has no error", func(p *tracedpubsub.PubSub, ctx context.Context) error {
				for range p.Messages(ctx) {
					return errors.New("there is a message")
				}
				return nil
			}, nil},
			{"Channel", "likewise", func(p *tracedpubsub.PubSub, _ context.Context) error {
				for range p.Channel() {
					return errors.New("there is a message")
				}
				return nil
			}, nil},
		} {
			t.Run(fmt.Sprintf("RESP%d/%s", protocol, wait.name), func(t *testing.T) {
				subscribed := make(chan struct{}, 10)
				fake := tracetest.StartFakeRedis(t, func(c *tracetest.FakeConn, command []string) {
					if command[0] == "subscribe" {
						subscribed <- struct{}{}
						return
					}
					c.Answer(command)
				})
				s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: fake.Addr(), Protocol: protocol})
				sub := s.Subscription(t, "a")
				ended := make(chan error, 1)
				go func() { ended <- wait.call(sub, tracetest.Context(t)) }()
				<-subscribed
				tracetest.Eventually(t, "the call waits", func() bool { return len(tracetest.LibraryGoroutines()) > 0 })
				_ = sub.Close()
				tracetest.ReturnsPromptly(t, wait.name, func() {
					if err := <-ended; err != wait.want { //nolint:errorlint // programs that come from go-redis compare like that
						t.Errorf("it returned %v, want %v itself: %s", err, wait.want, wait.reason)
					}
				})
				s.Reports.AssertNone(t)
			})
		}
	}
}

// Close is not reported as a failure, whether messages arrive, topics change, or the
// server has not confirmed anything yet.
func TestCloseIsNotReported(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	done := make(chan struct{})
	var publisher, work sync.WaitGroup
	publisher.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				tracetest.PublishRaw(t, rdb, "a", tracetest.Numbered(0, 10)...)
			}
		}
	})
	for i := range 5 * (len(tracetest.Consumers) + 1) {
		sub := s.Subscription(t, "a")
		work.Go(func() {
			for k := 0; ; k++ { // until it is closed
				if err := sub.Subscribe(context.Background(), fmt.Sprint("b", k%20)); err != nil {
					return
				}
				_ = sub.Unsubscribe(context.Background(), fmt.Sprint("b", k%20))
			}
		})
		// The last of them is closed before it has read anything.
		if way := i % (len(tracetest.Consumers) + 1); way < len(tracetest.Consumers) {
			tracetest.Consumers[way].Consume(tracetest.Context(t), sub, func(*tracedpubsub.Message) bool { return false })
		}
		_ = sub.Close()
		work.Wait()
	}
	tracetest.WaitForNoGoroutines(t)
	close(done)
	publisher.Wait()
	s.Reports.AssertNone(t)
}

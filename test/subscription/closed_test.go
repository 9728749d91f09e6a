// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Every method of a closed subscription returns redis.ErrClosed or ends, no matter what
// state the subscription was in.
func TestAfterClose(t *testing.T) {
	server, _ := tracetest.StartServer(t)
	gone, _ := tracetest.StartServer(t)
	gone.Kill()
	ctx := tracetest.Context(t)
	closedSubscriptions := []struct {
		name, reason, addr string
		use                func(*tracedpubsub.PubSub)
	}{
		{"read", "the state in which most are closed", server.Addr(), func(sub *tracedpubsub.PubSub) { tracetest.WaitReady(t, sub) }},
		{"never read", "no goroutine has ever run", server.Addr(), func(*tracedpubsub.PubSub) {}},
		{"never connected", "redis.ErrClosed takes precedence over the failure to connect", gone.Addr(), func(*tracedpubsub.PubSub) {}},
	}
	calls := []struct {
		name string
		call func(*tracedpubsub.PubSub) error
	}{
		{"Ready", func(p *tracedpubsub.PubSub) error { return p.Ready(ctx) }},
		{"ReceiveMessage", func(p *tracedpubsub.PubSub) error { _, err := p.ReceiveMessage(ctx); return err }},
		{"Subscribe", func(p *tracedpubsub.PubSub) error { return p.Subscribe(ctx, "b") }},
		{"PSubscribe", func(p *tracedpubsub.PubSub) error { return p.PSubscribe(ctx, "b") }},
		{"SSubscribe", func(p *tracedpubsub.PubSub) error { return p.SSubscribe(ctx, "b") }},
		{"Unsubscribe", func(p *tracedpubsub.PubSub) error { return p.Unsubscribe(ctx, "a") }},
		{"PUnsubscribe", func(p *tracedpubsub.PubSub) error { return p.PUnsubscribe(ctx) }},
		{"SUnsubscribe", func(p *tracedpubsub.PubSub) error { return p.SUnsubscribe(ctx) }},
		{"Ping", func(p *tracedpubsub.PubSub) error { return p.Ping(ctx) }},
	}
	for _, tt := range closedSubscriptions {
		t.Run(tt.name, func(t *testing.T) {
			sub := tracetest.NewSubject(t, tt.addr).Subscription(t, "a")
			tt.use(sub)
			if err := sub.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			for _, c := range slices.Concat(calls, calls) { // no call changes the result of the next one
				if err := c.call(sub); err != redis.ErrClosed { //nolint:errorlint // programs that come from go-redis compare like that
					t.Errorf("%s: %s returned %v, want redis.ErrClosed itself", tt.reason, c.name, err)
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
		})
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// What a subscription says when it is closed, whatever it was before.
func TestAfterClose(t *testing.T) {
	server, _ := startServer(t)
	gone, _ := startServer(t)
	gone.Kill()
	ctx := testContext(t)
	closedSubscriptions := []struct {
		name, reason, addr string
		use                func(*tracedpubsub.PubSub)
	}{
		{"read", "the state in which most are closed", server.Addr(), func(sub *tracedpubsub.PubSub) { mustBeReady(t, sub) }},
		{"never read", "no goroutine has ever run", server.Addr(), func(*tracedpubsub.PubSub) {}},
		{"never connected", "the failure to connect is of no interest any more", gone.Addr(), func(*tracedpubsub.PubSub) {}},
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
			sub := newSubject(t, tt.addr).subscribe(t, "a")
			tt.use(sub)
			if err := sub.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			for _, c := range slices.Concat(calls, calls) { // none changes what the next one says
				if err := c.call(sub); !errors.Is(err, redis.ErrClosed) || !strings.HasPrefix(err.Error(), "tracedpubsub: ") {
					t.Errorf("%s: %s returned %v, want an error of ours that is redis.ErrClosed", tt.reason, c.name, err)
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

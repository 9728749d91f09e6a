// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"

	"github.com/tracedpubsub/tracedpubsub"
)

// Consumer is a way to consume a subscription. Consume calls each for every message,
// until each returns false, ctx is canceled or the subscription is closed.
type Consumer struct {
	Name, Reason string
	Consume      func(ctx context.Context, sub *tracedpubsub.PubSub, each func(*tracedpubsub.Message) bool)
}

// Consumers has every way to consume a subscription.
var Consumers = []Consumer{
	{"Messages", "the usual loop", func(ctx context.Context, sub *tracedpubsub.PubSub, each func(*tracedpubsub.Message) bool) {
		for _, m := range sub.Messages(ctx) {
			if !each(m) {
				return
			}
		}
	}},
	{"Process", "a handler with an error", func(ctx context.Context, sub *tracedpubsub.PubSub, each func(*tracedpubsub.Message) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		_ = sub.Process(ctx, func(_ context.Context, m *tracedpubsub.Message) error {
			if !each(m) {
				cancel()
			}
			return nil
		})
	}},
	{"Channel", "a select loop", func(ctx context.Context, sub *tracedpubsub.PubSub, each func(*tracedpubsub.Message) bool) {
		for {
			select {
			case m, ok := <-sub.Channel():
				if !ok {
					return
				}
				_, span := m.Start(ctx)
				more := each(m)
				span.End()
				if !more {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}},
	{"ReceiveMessage", "one message at a time", func(ctx context.Context, sub *tracedpubsub.PubSub, each func(*tracedpubsub.Message) bool) {
		for {
			m, err := sub.ReceiveMessage(ctx)
			if err != nil {
				return
			}
			_, span := m.Start(ctx)
			more := each(m)
			span.End()
			if !more {
				return
			}
		}
	}},
}

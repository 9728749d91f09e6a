// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// WayToSubscribe is a kind of subscription, with the functions of the library and of
// go-redis for it.
type WayToSubscribe struct {
	Name, Reason string
	Topic        func(channel string) string // the channel, or a pattern that matches it
	Subscribe    func(c *tracedpubsub.Client, ctx context.Context, topics ...string) *tracedpubsub.PubSub
	Raw          func(rdb *redis.Client, ctx context.Context, topics ...string) *redis.PubSub
	Publish      func(c *tracedpubsub.Client, ctx context.Context, channel string, payload any) *redis.IntCmd
	Operation    string // of the producer span
	Patterns     bool
	NoMiniredis  string // the error of miniredis, which does not support this kind; "": it does
}

// WaysToSubscribe has every kind of subscription.
var WaysToSubscribe = []WayToSubscribe{{
	Name:      "Subscribe",
	Reason:    "the usual subscription, to one channel",
	Topic:     func(channel string) string { return channel },
	Subscribe: (*tracedpubsub.Client).Subscribe,
	Raw:       (*redis.Client).Subscribe,
	Publish:   (*tracedpubsub.Client).Publish,
	Operation: "publish",
}, {
	Name:      "PSubscribe",
	Reason:    "the pattern is in the message, and is the template of the span",
	Topic:     func(channel string) string { return channel[:len(channel)-2] + "*" },
	Subscribe: (*tracedpubsub.Client).PSubscribe,
	Raw:       (*redis.Client).PSubscribe,
	Publish:   (*tracedpubsub.Client).Publish,
	Operation: "publish",
	Patterns:  true,
}, {
	Name:        "SSubscribe",
	Reason:      "sharded channels have commands of their own, which miniredis does not know",
	Topic:       func(channel string) string { return channel },
	Subscribe:   (*tracedpubsub.Client).SSubscribe,
	Raw:         (*redis.Client).SSubscribe,
	Publish:     (*tracedpubsub.Client).SPublish,
	Operation:   "spublish",
	NoMiniredis: "ERR unknown command",
}}

// AssertMessage asserts that m has the payload hello, and that the subscription s
// received it from channel.
func AssertMessage(t *testing.T, m *tracedpubsub.Message, s WayToSubscribe, channel string) {
	t.Helper()
	pattern := ""
	if s.Patterns {
		pattern = s.Topic(channel)
	}
	if m.Channel != channel || m.Pattern != pattern || m.Payload != "hello" || m.PayloadSlice != nil || m.Err != nil {
		t.Errorf("got %+v, want channel %q, pattern %q, payload hello, no error", m, channel, pattern)
	}
}

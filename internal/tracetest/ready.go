// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// ReadySub waits until the server has confirmed sub, and returns it. The subscription
// is closed when the test ends.
func ReadySub(t *testing.T, sub *tracedpubsub.PubSub) *tracedpubsub.PubSub {
	t.Helper()
	t.Cleanup(func() { _ = sub.Close() })
	WaitReady(t, sub)
	return sub
}

// ReadyRaw is ReadySub for a subscription of go-redis to one topic.
func ReadyRaw(t *testing.T, sub *redis.PubSub) *redis.PubSub {
	t.Helper()
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(Context(t)); err != nil {
		t.Fatalf("confirmation of %v: %v", sub, err)
	}
	return sub
}

// WaitReady waits until the server has confirmed every topic of sub.
func WaitReady(t *testing.T, sub *tracedpubsub.PubSub) {
	t.Helper()
	if err := sub.Ready(Context(t)); err != nil {
		t.Fatalf("Ready of %v: %v", sub, err)
	}
}

// EventuallyReady is WaitReady for a subscription of which attempts may still fail
// before one succeeds.
func EventuallyReady(t *testing.T, sub *tracedpubsub.PubSub) {
	t.Helper()
	ctx := Context(t)
	Eventually(t, "the subscription is ready", func() bool { return sub.Ready(ctx) == nil })
}

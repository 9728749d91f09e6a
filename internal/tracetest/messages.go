// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// AssertSent asserts that the command of a publish has succeeded.
func AssertSent(t *testing.T, cmd *redis.IntCmd) {
	t.Helper()
	if err := cmd.Err(); err != nil {
		t.Fatalf("%v: %v", cmd.Name(), err)
	}
}

// PublishRaw publishes payloads without the library, in one pipeline.
func PublishRaw(t *testing.T, rdb *redis.Client, channel string, payloads ...string) {
	t.Helper()
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for _, payload := range payloads {
			p.Publish(t.Context(), channel, payload)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("publish on %s: %v", channel, err)
	}
}

// Numbered returns n payloads, which are numbers beginning with from.
func Numbered(from, n int) []string {
	payloads := make([]string, n)
	for i := range payloads {
		payloads[i] = strconv.Itoa(from + i)
	}
	return payloads
}

// NextMessage receives a message.
func NextMessage(t *testing.T, sub *tracedpubsub.PubSub) *tracedpubsub.Message {
	t.Helper()
	m, err := sub.ReceiveMessage(Context(t))
	if err != nil {
		t.Fatalf("receive from %v: %v", sub, err)
	}
	return m
}

// NextRaw receives a message from a subscription of go-redis.
func NextRaw(t *testing.T, sub *redis.PubSub) *redis.Message {
	t.Helper()
	m, err := sub.ReceiveMessage(Context(t))
	if err != nil {
		t.Fatalf("receive from %v: %v", sub, err)
	}
	return m
}

// AssertReceives asserts that the next messages of sub have the given payloads, in
// their order.
func AssertReceives(t *testing.T, sub *tracedpubsub.PubSub, payloads ...string) {
	t.Helper()
	ctx := Context(t)
	for i, want := range payloads {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatalf("message %d: %v, want %.40q", i, err, want)
		}
		if m.Payload != want {
			t.Fatalf("message %d is %.40q, want %.40q", i, m.Payload, want)
		}
	}
}

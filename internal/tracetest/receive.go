// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// WayToReceive is a way to receive one message of a source and to handle it in its
// consumer span.
type WayToReceive struct {
	Name, Reason string
	FromRaw      bool // it receives from Source.Raw
	Receive      func(t *testing.T, ctx context.Context, s *Source, handle Handler)
}

// Handler handles a message; ctx holds the consumer span.
type Handler func(ctx context.Context, m *tracedpubsub.Message)

// Source is a subscription of the library or one of go-redis, with the client of the
// library that its messages are for.
type Source struct {
	Client *tracedpubsub.Client
	Sub    *tracedpubsub.PubSub
	Raw    *redis.PubSub
}

// WaysToReceive has every way to receive a message.
var WaysToReceive = []WayToReceive{{
	Name:   "Messages",
	Reason: "the loop starts and ends the span",
	Receive: func(_ *testing.T, ctx context.Context, s *Source, handle Handler) {
		for ctx, m := range s.Sub.Messages(ctx) {
			handle(ctx, m)
			break
		}
	},
}, {
	Name:   "Process",
	Reason: "the same, with a function instead of a body",
	Receive: func(t *testing.T, ctx context.Context, s *Source, handle Handler) {
		ctx, cancel := context.WithCancel(ctx)
		err := s.Sub.Process(ctx, func(ctx context.Context, m *tracedpubsub.Message) error {
			handle(ctx, m)
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Process returned %v, want %v", err, context.Canceled)
		}
	},
}, {
	Name:   "Channel",
	Reason: "the caller starts the span, in a select loop",
	Receive: func(t *testing.T, ctx context.Context, s *Source, handle Handler) {
		select {
		case m := <-s.Sub.Channel():
			handleInSpan(ctx, m, handle)
		case <-ctx.Done():
			t.Error(ctx.Err())
		}
	},
}, {
	Name:   "ReceiveMessage",
	Reason: "the caller starts the span, message by message",
	Receive: func(t *testing.T, ctx context.Context, s *Source, handle Handler) {
		m, err := s.Sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		handleInSpan(ctx, m, handle)
	},
}, {
	Name:    "FromRedis",
	Reason:  "a loop of go-redis, outside this library",
	FromRaw: true,
	Receive: func(t *testing.T, ctx context.Context, s *Source, handle Handler) {
		select {
		case m := <-s.Raw.Channel():
			handleInSpan(ctx, s.Client.FromRedis(m), handle)
		case <-ctx.Done():
			t.Error(ctx.Err())
		}
	},
}}

// handleInSpan starts the consumer span of m and handles m in it.
func handleInSpan(ctx context.Context, m *tracedpubsub.Message, handle Handler) {
	ctx, span := m.Start(ctx)
	defer span.End()
	handle(ctx, m)
}

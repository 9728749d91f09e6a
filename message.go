// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// Message is a message as it was published, with the context of its producer.
//
// The zero Message, and one made of the exported fields, can be used in tests:
// [Message.Start] begins a new root for it.
type Message struct {
	// Channel is the channel that the message was published to.
	Channel string
	// Pattern is the pattern that matched, in a pattern subscription.
	Pattern string
	// Payload is what the publisher passed, byte for byte, with its envelope
	// removed. A message without an envelope, or with one that cannot be read,
	// is here as it came.
	Payload string
	// PayloadSlice is the payload of a message whose payload is an array, as in
	// redis.Message. Payload is empty then.
	PayloadSlice []string
	// Err is nil or says why Payload is the message as it came, or why there is
	// no producer: [ErrMalformedEnvelope], [ErrUnsupportedVersion] or
	// [ErrCarrierTooLarge].
	Err error

	carrier  Carrier
	cfg      *config // nil in a Message that did not come from Redis
	server   *telemetry.Server
	template string // asked for once, when the message comes in
	filtered bool   // by WithFilter: no span
	counted  uint32 // 1: among the messages consumed; atomic, and a Message may be copied
}

// FromRedis takes apart a message that a receive loop of go-redis' own has
// received. Of the options, those that are about reading count. Use
// [Client.FromRedis] where the messages are many: it reads its options once.
func FromRedis(m *redis.Message, opts ...Option) *Message {
	return configOf(opts).open(m, nil)
}

// FromRedis is the function [FromRedis] with the options of c, for messages that
// the client that c wraps has received.
func (c *Client) FromRedis(m *redis.Message) *Message {
	return c.cfg.open(m, c.cfg.server(c.rdb))
}

// open takes m apart. A nil m is an empty message.
func (c *config) open(m *redis.Message, server *telemetry.Server) *Message {
	msg := &Message{cfg: c, server: server}
	if m == nil {
		return msg
	}
	msg.Channel, msg.Pattern = m.Channel, m.Pattern
	msg.Payload, msg.PayloadSlice = m.Payload, m.PayloadSlice
	if !c.traces(m.Channel) {
		msg.filtered = true
		return msg
	}
	if msg.template = c.templateOf(m.Channel); msg.template == "" {
		msg.template = m.Pattern
	}
	if m.PayloadSlice == nil {
		msg.Payload, msg.Err = c.decode(m.Payload, &msg.carrier)
	}
	return msg
}

// Extract returns ctx with the span context and the baggage of the producer, for
// those who want to start spans of their own. It starts no span. If the message
// has no valid span context, that of ctx stays.
//
// With [WithPublicEndpoint], the baggage of the producer is left out.
func (m *Message) Extract(ctx context.Context) context.Context {
	return m.config().extract(ctx, &m.carrier)
}

// Start starts the consumer span of m and returns a context that holds it, and
// the baggage of the producer. The caller ends the span when the message is
// dealt with. The loops of [PubSub.Messages] and [PubSub.Process] do both by
// themselves.
//
// The span is a child of the producer's span (see [WithRelation] and
// [WithPublicEndpoint] for when it is not). A valid span in ctx becomes a link.
// A message without a valid span context of a producer begins a new trace. For a
// channel that is left out by [WithFilter], ctx comes back as it is, with a span
// that does nothing.
//
// The first Start counts m as a message consumed, however it was received.
func (m *Message) Start(ctx context.Context, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := m.start(ctx, opts...)
	return ctx, span.Unwrap()
}

// start does what Start does, and returns the span with the measurement of the same
// processing. For a filtered message it returns the zero Span.
func (m *Message) start(ctx context.Context, opts ...trace.SpanStartOption) (context.Context, telemetry.Span) {
	if m.filtered {
		return ctx, telemetry.Span{}
	}
	c := m.config()
	start := telemetry.SpanStart{
		Operation:   telemetry.Process,
		Destination: m.Channel,
		Template:    m.template,
		Server:      m.server,
		Envelope:    envelopeState(m.Err),
		Options:     opts,
	}
	caller := trace.SpanFromContext(ctx)
	ctx, producer := c.producer(ctx, &m.carrier)
	start.Relate(producer, caller.SpanContext(), c.relation == RelationChild && !c.publicEndpoint)
	if start.Root && len(start.Links) > 0 {
		// A tracer that starts no spans returns the span in ctx. That must be the
		// caller's, and not one of another trace.
		ctx = trace.ContextWithSpan(ctx, caller)
	}
	ctx, span := c.telemetry.Start(ctx, &start)
	if atomic.CompareAndSwapUint32(&m.counted, 0, 1) {
		span.Consumed()
	}
	return ctx, span
}

// envelopeState returns the value of tracedpubsub.envelope, which says why a message
// could not be decoded.
func envelopeState(err error) string {
	switch {
	case errors.Is(err, ErrMalformedEnvelope):
		return "malformed"
	case errors.Is(err, ErrUnsupportedVersion):
		return "unsupported_version"
	case errors.Is(err, ErrCarrierTooLarge):
		return "carrier_too_large"
	}
	return ""
}

// String is for logs: the channel and the payload, as redis.Message has it.
func (m *Message) String() string {
	return fmt.Sprintf("Message<%s: %s>", m.Channel, m.Payload)
}

func (m *Message) config() *config {
	if m.cfg == nil {
		return defaultConfig
	}
	return m.cfg
}

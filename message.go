// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// Message is a message that was received, with the trace context of its producer.
//
// The zero Message, and a literal with exported fields, can be used in tests:
// [Message.Start] starts the root of a new trace for it.
type Message struct {
	// Channel is the channel on which the message was published.
	Channel string
	// Pattern is the pattern that matched Channel, in a pattern subscription.
	Pattern string
	// Payload is what the publisher passed, byte for byte, without the envelope. If
	// the message has no envelope, or one that cannot be decoded, Payload is the
	// whole message.
	Payload string
	// PayloadSlice is a payload that is an array, as in redis.Message. Payload is
	// then empty.
	PayloadSlice []string
	// Err is nil if the message was decoded, or has no envelope. With
	// [ErrMalformedEnvelope] and [ErrUnsupportedVersion], Payload is the whole
	// message. With [ErrCarrierTooLarge], the message has no trace context.
	Err error
	// PublishedAt is the time at which the message was published, by the clock of its
	// publisher, which may differ from that of the consumer. It is the zero Time unless the
	// publisher accounts for its messages; see [WithAccounting].
	PublishedAt time.Time
	// Skipped is how many messages were missing right before this one when it was received:
	// of the same publisher, on the same channel. Some of them may still arrive, if they were
	// overtaken. It is 0 for the first message of a publisher on a channel, for one that
	// comes later than the next, if the publisher does not account for its messages, and for
	// messages that a [PubSub] has not received.
	Skipped int64

	carrier  Carrier
	cfg      *config // nil in a literal: the defaults
	server   *telemetry.Server
	template string // of Channel, or Pattern
	filtered bool   // by WithFilter: no span
	counted  uint32 // 1: counted as consumed; atomic, but not an atomic.Uint32, so that a Message may be copied
}

// FromRedis decodes a message that go-redis has received in a loop over redis.PubSub.
// Only the options for consumers have an effect. A nil m is an empty message.
//
// If you decode many messages with options, use [Client.FromRedis], which evaluates the
// options once.
func FromRedis(m *redis.Message, opts ...Option) *Message {
	return configOf(opts).open(m, nil, nil)
}

// FromRedis is like the function [FromRedis], with the options of c. The consumer span has
// the server address of the client that c wraps.
func (c *Client) FromRedis(m *redis.Message) *Message {
	return c.cfg.open(m, c.cfg.server(c.rdb), nil)
}

// NewMessage decodes a message that another Redis client has received, such as rueidis or
// redigo, or that a test makes up. payload is the message as it was received: an envelope,
// or a payload without one. pattern is "" unless the message is that of a pattern
// subscription. Only the options for consumers have an effect.
//
// The consumer span has no server address, since this package does not know the server.
// Options are evaluated by each call, which costs more than all the rest of it. A program
// with one set of providers needs none: it sets the global ones.
func NewMessage(channel, pattern, payload string, opts ...Option) *Message {
	return configOf(opts).open(&redis.Message{Channel: channel, Pattern: pattern, Payload: payload}, nil, nil)
}

// open decodes m. A nil m is an empty message. If a is not nil, open sets it to the accounting
// of m.
func (c *config) open(m *redis.Message, server *telemetry.Server, a *wire.Accounting) *Message {
	if a == nil {
		a = new(wire.Accounting)
	}
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
		msg.Payload, msg.Err = c.decode(m.Payload, &msg.carrier, a)
		if a.Source != "" {
			msg.PublishedAt = time.UnixMicro(a.Time)
		}
	}
	return msg
}

// Extract returns ctx with the span context and the baggage of the producer. It starts
// no span; use it to start spans of your own in place of the consumer span. If the
// message has no valid span context, the span of ctx stays.
//
// With [WithPublicEndpoint], the returned context does not have the producer's baggage.
func (m *Message) Extract(ctx context.Context) context.Context {
	return m.config().extract(ctx, &m.carrier)
}

// Start starts the consumer span of m. The returned context has the span and the
// producer's baggage. The caller must end the span when m is processed.
// [PubSub.Messages] and [PubSub.Process] start and end it by themselves.
//
// The span is a child of the producer's span, unless [WithRelation] or
// [WithPublicEndpoint] sets something else. If m has no valid span context, the span is
// the root of a new trace. If ctx has a valid span, the consumer span links to it. For a
// channel that [WithFilter] leaves out, Start returns ctx and a span that does nothing.
//
// opts are passed to the tracer after the options of this package. Invalid UTF-8 in their
// attributes and links becomes U+FFFD; that of strings that are set on the span later does
// not, and exporters refuse it. The first call counts m in
// messaging.client.consumed.messages, and records its delay in tracedpubsub.delivery.delay.
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
		Skipped:     m.Skipped,
		Options:     opts,
	}
	caller := trace.SpanFromContext(ctx)
	ctx, producer := c.producer(ctx, &m.carrier)
	start.Relate(producer, caller.SpanContext(), c.relation == RelationChild && !c.publicEndpoint)
	if start.Root && len(start.Links) > 0 {
		// A no-op tracer returns the span in ctx. That must be the caller's, and not
		// the one of the producer's trace.
		ctx = trace.ContextWithSpan(ctx, caller)
	}
	ctx, span := c.telemetry.Start(ctx, &start)
	if atomic.CompareAndSwapUint32(&m.counted, 0, 1) {
		span.Consumed()
		if !m.PublishedAt.IsZero() {
			span.Delayed(m.PublishedAt)
		}
	}
	return ctx, span
}

// envelopeState returns the value of tracedpubsub.envelope, which says why a message
// could not be decoded.
func envelopeState(err error) string {
	// No method of err is called, since an application may have set it.
	switch err {
	case ErrMalformedEnvelope: //nolint:errorlint // Decode does not wrap them
		return "malformed"
	case ErrUnsupportedVersion:
		return "unsupported_version"
	case ErrCarrierTooLarge:
		return "carrier_too_large"
	}
	return ""
}

// String returns the channel and the payload, in the form of redis.Message. A channel that
// is long or has non-printable characters is cut and quoted, but the payload is not.
func (m *Message) String() string {
	return fmt.Sprintf("Message<%s: %s>", printable(m.Channel), m.Payload)
}

// LogValue returns the channel, the pattern if there is one, and the size of the payload in
// bytes, for package log/slog. A name that is long or has non-printable characters is cut
// and quoted. The payload is not in the log.
func (m Message) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 3)
	attrs = append(attrs, slog.String("channel", printable(m.Channel)))
	if m.Pattern != "" {
		attrs = append(attrs, slog.String("pattern", printable(m.Pattern)))
	}
	return slog.GroupValue(append(attrs, slog.Int("payload_size", len(m.Payload)))...)
}

func (m *Message) config() *config {
	if m.cfg == nil {
		return defaultConfig
	}
	return m.cfg
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// Option sets an option of [Wrap], [Instrument], [NewHook], [FromRedis], [NewMessage],
// [Encode] or [Decode]. If two options set the same thing, the later one wins. A nil Option is
// ignored, and so is an option that is given nil.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// Relation is how a consumer span is related to the span of its producer.
type Relation int

const (
	// RelationChild makes the consumer span a child of the producer span. A message
	// and all its consumers are in one trace.
	RelationChild Relation = iota
	// RelationLink makes the consumer span the root of a new trace, with a link to
	// the producer span. It is for messages with so many consumers, or consumers that
	// do so much work, that one trace would become too large.
	RelationLink
)

// WithTracerProvider sets the provider of the tracer.
//
// With a no-op provider there are no spans, but context is propagated all the same: the
// consumer gets the span context that the publisher had in its context.
//
// The options that are passed to the tracer's Start method are valid until it returns. A
// tracer must copy what it keeps of them, as the SDK does.
//
// If tp, its tracer or a span panics, the panic is reported to the error handler. If tp
// itself does, for example because it is a nil pointer, there are no spans, as with a no-op
// provider.
//
// Default: the global provider. It is looked up on each call, so it may be set later.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return optionFunc(func(c *config) {
		if tp != nil {
			c.telemetry.TracerProvider = tp
		}
	})
}

// WithMeterProvider sets the provider of the instruments, which docs/telemetry.md lists.
//
// No metric has the name of a channel as an attribute, since there may be any number
// of channels; see [WithDestinationTemplate]. Instruments that are not enabled cost
// nothing, such as those of a no-op provider and those that a view drops.
//
// If mp or an instrument panics, the panic is reported to the error handler. If mp itself
// does, for example because it is a nil pointer, nothing is recorded.
//
// Default: the global provider. It is looked up on each call, so it may be set later.
func WithMeterProvider(mp metric.MeterProvider) Option {
	return optionFunc(func(c *config) {
		if mp != nil {
			c.telemetry.MeterProvider = mp
		}
	})
}

// WithPropagators sets the propagator that writes the trace context into envelopes and
// reads it from them. It can read all fields of an envelope, as of a propagation.MapCarrier. Of
// other JSON objects, such as CloudEvents, it can read those that its Fields method returns.
//
// If p panics, the message is sent or delivered without a context, and the panic is
// reported to the error handler. If the Fields method of p panics, for example because p is
// a nil pointer, nothing is propagated from then on.
//
// Default: the global propagator. It is looked up on each call, so it may be set later.
// If otel.SetTextMapPropagator was never called, W3C Trace Context and Baggage are used,
// so that context is propagated all the same. A global propagator without fields, such as
// that of OTEL_PROPAGATORS=none, propagates nothing.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) {
		if p != nil {
			c.propagator = p
		}
	})
}

// WithRelation sets how consumer spans are related to producer spans. The semantic
// conventions prefer links, and allow a parent. An unknown value is ignored.
//
// Default: [RelationChild].
func WithRelation(r Relation) Option {
	return optionFunc(func(c *config) {
		if r == RelationChild || r == RelationLink {
			c.relation = r
		}
	})
}

// WithPublicEndpoint tells consumers not to trust the publishers, for example because
// other teams may publish on the same channels. A consumer span is then the root of a
// new trace, with a sampling decision of its own, and links to the producer span. The
// producer's baggage is dropped, also by [Message.Extract] and [Envelope.Extract].
//
// Default: off.
func WithPublicEndpoint() Option {
	return optionFunc(func(c *config) { c.publicEndpoint = true })
}

// WithFilter sets which channels are traced. On a channel for which filter returns
// false, messages are published and delivered as go-redis does it: unchanged, without
// spans and without metrics.
//
// filter is called at most once for each message, possibly from several goroutines. If
// it panics, the channel is traced, and the panic is reported to the error handler.
//
// Default: all channels.
func WithFilter(filter func(channel string) bool) Option {
	return optionFunc(func(c *config) {
		if filter != nil {
			c.filter = filter
		}
	})
}

// WithEnvelopeFilter sets which channels get envelopes. On a channel for which filter
// returns false, a message has a producer span, but is published without an envelope,
// and so without trace context. Use it for channels with consumers that cannot read
// envelopes. It has no effect on receiving.
//
// filter is called at most once for each message, possibly from several goroutines. If
// it panics, the message is published in an envelope, and the panic is reported to the
// error handler.
//
// Default: all channels.
func WithEnvelopeFilter(filter func(channel string) bool) Option {
	return optionFunc(func(c *config) {
		if filter != nil {
			c.envelopeFilter = filter
		}
	})
}

// WithDestinationTemplate sets the low-cardinality name of a channel, such as
// "user.{id}.events" for the channel "user.17.events". Span names contain it in place
// of the channel, and spans and metrics have it as messaging.destination.template. A
// channel for which template returns "" has none.
//
// template is called at most once for each message, possibly from several goroutines.
// If it panics, the channel has no template, and the panic is reported to the error
// handler.
//
// Names in Redis are bytes, but exporters accept only UTF-8. In spans and metrics, invalid
// bytes of a channel, pattern or template become U+FFFD.
//
// Default: none. For a message of a pattern subscription, the pattern is the template.
func WithDestinationTemplate(template func(channel string) string) Option {
	return optionFunc(func(c *config) {
		if template != nil {
			c.template = template
		}
	})
}

// WithAttributes adds attributes to every span. It does not replace an attribute that
// this package sets. If it is given several times, all attributes are added. Invalid UTF-8
// in keys and strings becomes U+FFFD.
//
// Default: none.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	attributes = slices.Clone(attributes)
	return optionFunc(func(c *config) {
		c.telemetry.Attributes = append(slices.Clip(c.telemetry.Attributes), attributes...)
	})
}

// WithErrorHandler sets the function that gets the errors that no call can return: a
// lost connection or a refused subscription (as a [*SubscriptionError]), a propagation
// field that was left out of an envelope, a panic in what was given to another option or
// in a method of an error.
//
// handler may be called from several goroutines. A panic in it is ignored.
//
// The goroutine that has the error waits until handler returns. handler may subscribe,
// unsubscribe and close a subscription, but it must not wait for one: [PubSub.Ready],
// for example, may then not return before its context is canceled.
//
// Default: otel.Handle.
func WithErrorHandler(handler func(error)) Option {
	return optionFunc(func(c *config) {
		if handler != nil {
			c.errorHandler = handler
		}
	})
}

// WithChannelSize sets how many messages a subscription buffers for its consumers. If
// the buffer is full, the subscription stops reading, and the server has to wait; this
// package drops no message. A negative size is ignored.
//
// n limits the number of messages, not their bytes. A message of a megabyte takes a
// megabyte of the buffer.
//
// Default: 100, as in go-redis.
func WithChannelSize(n int) Option {
	return optionFunc(func(c *config) {
		if n >= 0 {
			c.channelSize = n
		}
	})
}

// WithHealthCheckInterval sets after which silence a subscription sends a PING. A server
// that does not answer for another 13 seconds is considered dead, and the connection is
// replaced. While messages arrive, a PING is sent each second: the reply shows until when
// all messages have been received.
//
// With 0, no PING is sent. That is for proxies that do not pass them on. A peer that has
// vanished is then noticed by TCP alone, and the downtime of an outage reaches back to the
// last confirmation of a channel. A negative interval is ignored.
//
// Default: 5 s.
func WithHealthCheckInterval(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if d >= 0 {
			c.healthCheckInterval = d
		}
	})
}

// WithBatchSpanOnly makes [Instrument] and [NewHook] start one span of kind PRODUCER for
// a whole pipeline, instead of a span for each message and one for the batch. All
// messages carry the context of that span. It is for large batches, whose messages need
// no spans of their own. [Publish] and [Client] ignore it.
//
// Messages that are envelopes already keep the context that they carry, and the span
// links to it. If a pipeline has no other messages, the kind of the span is CLIENT.
//
// Default: off.
func WithBatchSpanOnly() Option {
	return optionFunc(func(c *config) { c.batchSpanOnly = true })
}

// config holds the options. Apart from its caches, it does not change once it is made.
type config struct {
	telemetry       telemetry.Telemetry
	propagator      propagation.TextMapPropagator // nil: the global one, or W3C
	relation        Relation
	publicEndpoint  bool
	filter          func(channel string) bool   // nil: all channels
	envelopeFilter  func(channel string) bool   // nil: all channels
	template        func(channel string) string // nil: none
	errorHandler    func(error)
	foreignEnvelope func(message string) (Envelope, bool) // nil: none
	ledgers         *ledgers                              // nil: no accounting
	channelSize     int

	healthCheckInterval time.Duration
	batchSpanOnly       bool

	cachedPropagator atomic.Pointer[cachedPropagator]
	cachedServer     atomic.Pointer[cachedServer]
}

// defaultConfig is the config without options.
var defaultConfig = newConfig()

func newConfig(opts ...Option) *config {
	c := &config{
		errorHandler: otel.Handle,
		channelSize:  100,

		healthCheckInterval: 5 * time.Second,
	}
	c.telemetry.ScopeName, c.telemetry.ScopeVersion = ScopeName, Version
	c.telemetry.HandleError, c.telemetry.HandlePanic = c.handle, c.handlePanic
	for _, opt := range opts {
		if opt != nil {
			opt.apply(c)
		}
	}
	return c
}

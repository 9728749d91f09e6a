// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"fmt"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// Option changes one default of this package. A nil value or function given to
// an option is ignored; of two options that say the same thing, the later wins.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// Relation says how a consumer span is related to the span of its producer.
type Relation int

const (
	// RelationChild makes the consumer span a child of the producer span: one
	// publish and all that follows from it are one trace.
	RelationChild Relation = iota
	// RelationLink lets the consumer span begin a trace of its own that links to
	// the producer span: for channels with so many consumers, or consumers that
	// do so much, that one trace could not hold them.
	RelationLink
)

// WithTracerProvider sets where the tracer comes from. With a no-op provider no
// spans are made: a message carries the span context of the publisher's caller,
// and the consumer finds it in its context. The options that Start of a tracer
// gets are its own only until it returns.
//
// Default: the global provider, looked up on each call, so that one that is set
// later counts.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return optionFunc(func(c *config) {
		if tp != nil {
			c.telemetry.TracerProvider = tp
		}
	})
}

// WithMeterProvider sets where the instruments for metrics come from. None of
// them has the name of a channel, only its template (see
// [WithDestinationTemplate]); the README tells which there are. With a no-op
// provider, or with views that drop an instrument, recording costs nothing.
//
// Default: the global provider, looked up on each call, so that one that is set
// later counts.
func WithMeterProvider(mp metric.MeterProvider) Option {
	return optionFunc(func(c *config) {
		if mp != nil {
			c.telemetry.MeterProvider = mp
		}
	})
}

// WithPropagators sets what writes the trace context into an envelope and reads
// it from one. On reading, only the propagator's Fields() are looked for.
//
// Default: the global propagator if it has any field, looked up on each call;
// else W3C Trace Context and Baggage, so that context travels before anybody has
// called otel.SetTextMapPropagator.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) {
		if p != nil {
			c.propagator = p
		}
	})
}

// WithRelation sets how consumer spans are related to producer spans. An unknown
// relation is ignored.
//
// Default: [RelationChild].
func WithRelation(r Relation) Option {
	return optionFunc(func(c *config) {
		if r == RelationChild || r == RelationLink {
			c.relation = r
		}
	})
}

// WithPublicEndpoint says that the publishers are not to be trusted, for
// example because others may publish on these channels too: a consumer span
// begins a trace of its own, with its own sampling decision, that links to the
// producer span, and the sender's baggage is dropped, also by [Message.Extract]
// and [Envelope.Extract].
//
// Default: off.
func WithPublicEndpoint() Option {
	return optionFunc(func(c *config) { c.publicEndpoint = true })
}

// WithFilter sets which channels are traced. A channel for which the function
// returns false is left exactly as go-redis has it: no span, no envelope, and
// what arrives on it is not looked into. The function is asked at most once a
// message, possibly from several goroutines; if it panics, the channel is traced
// and the error handler hears of it.
//
// Default: all channels.
func WithFilter(filter func(channel string) bool) Option {
	return optionFunc(func(c *config) {
		if filter != nil {
			c.filter = filter
		}
	})
}

// WithEnvelopeFilter sets which channels get an envelope. On a channel for which
// the function returns false a publish has its producer span, but the payload
// goes out bare: for consumers that cannot read envelopes. Reading is not
// affected. The function is asked at most once a message, possibly from several
// goroutines; if it panics, the payload goes out in an envelope and the error
// handler hears of it.
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
// "user.{id}.events" for "user.17.events". It takes the channel's place in span
// names and is recorded as messaging.destination.template. An empty result means
// that the channel has none. The function is asked at most once a message,
// possibly from several goroutines; if it panics, the channel has no template
// and the error handler hears of it.
//
// Default: none; for messages of a pattern subscription, the pattern.
func WithDestinationTemplate(template func(channel string) string) Option {
	return optionFunc(func(c *config) {
		if template != nil {
			c.template = template
		}
	})
}

// WithAttributes adds attributes to every span. Where one has the key of an
// attribute that this package sets itself, the package's value stays. The option
// may be given several times.
//
// Default: none.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	attributes = slices.Clone(attributes)
	return optionFunc(func(c *config) {
		c.telemetry.Attributes = append(slices.Clip(c.telemetry.Attributes), attributes...)
	})
}

// WithErrorHandler sets what hears of an error that has no caller to go to: a
// lost connection or a refused subscription (a [*SubscriptionError]), a
// propagation field that was left out of an envelope, a panic in a function
// given to another option. It may be called from several goroutines, and a panic
// in it is contained. It is called by the goroutine that has the error, which
// goes on only when the handler returns: it may change a subscription or close it,
// but what it waits for, as with [PubSub.Ready], does not come meanwhile.
//
// Default: otel.Handle.
func WithErrorHandler(handler func(error)) Option {
	return optionFunc(func(c *config) {
		if handler != nil {
			c.errorHandler = handler
		}
	})
}

// WithChannelSize sets how many messages a subscription holds ready for its
// consumer. When they wait to be taken, the subscription stops reading, and TCP
// makes the server wait; nothing is dropped here. A negative size is ignored.
//
// Default: 100, as in go-redis.
func WithChannelSize(n int) Option {
	return optionFunc(func(c *config) {
		if n >= 0 {
			c.channelSize = n
		}
	})
}

// WithBatchSpanOnly makes a pipeline one span of kind PRODUCER, whose context all
// of its messages carry, instead of a span for each message and one of kind CLIENT
// that links to them: for large batches, in which nobody needs to tell the messages
// apart. Messages that are envelopes already keep the context that they carry; the
// span links to it, and is of kind CLIENT if there are no others. It is for
// [Instrument] and [NewHook]; nothing else sees a pipeline as a whole.
//
// Default: off.
func WithBatchSpanOnly() Option {
	return optionFunc(func(c *config) { c.batchSpanOnly = true })
}

// config is what the options add up to. It does not change once it is made,
// apart from its caches.
type config struct {
	telemetry      telemetry.Telemetry
	propagator     propagation.TextMapPropagator // nil: the global one, or W3C
	relation       Relation
	publicEndpoint bool
	filter         func(channel string) bool   // nil: all channels
	envelopeFilter func(channel string) bool   // nil: all channels
	template       func(channel string) string // nil: none
	errorHandler   func(error)
	channelSize    int
	batchSpanOnly  bool

	propagators  atomic.Pointer[propagatorOf]
	cachedServer atomic.Pointer[cachedServer]
}

// defaultConfig is that of the functions that take no options.
var defaultConfig = newConfig()

func newConfig(opts ...Option) *config {
	c := &config{
		errorHandler: otel.Handle,
		channelSize:  100,
	}
	c.telemetry.ScopeName, c.telemetry.ScopeVersion = ScopeName, Version
	c.telemetry.HandleError = c.handle
	for _, opt := range opts {
		if opt != nil {
			opt.apply(c)
		}
	}
	return c
}

// traces and envelopes ask the user's filters.
func (c *config) traces(channel string) bool {
	return c.filter == nil || c.ask("WithFilter", c.filter, channel)
}

func (c *config) envelopes(channel string) bool {
	return c.envelopeFilter == nil || c.ask("WithEnvelopeFilter", c.envelopeFilter, channel)
}

func (c *config) ask(option string, filter func(string) bool, channel string) (answer bool) {
	answer = true // what it stays if the filter panics
	defer c.contain(option)
	return filter(channel)
}

// templateOf is the user's template of a channel, or "".
func (c *config) templateOf(channel string) (template string) {
	if c.template == nil {
		return ""
	}
	defer c.contain("WithDestinationTemplate")
	return c.template(channel)
}

// contain is to be deferred around a call of what was given to an option.
func (c *config) contain(option string) {
	if v := recover(); v != nil {
		c.handle(panicError("what was given to "+option, v))
	}
}

// handle tells the error handler. It never panics.
func (c *config) handle(err error) {
	// Whoever is told of errors has panicked himself: nobody is left to tell.
	defer func() { _ = recover() }()
	c.errorHandler(err)
}

func panicError(where string, v any) error {
	if err, ok := v.(error); ok {
		return fmt.Errorf("tracedpubsub: panic in %s: %w", where, err)
	}
	return fmt.Errorf("tracedpubsub: panic in %s: %v", where, v)
}

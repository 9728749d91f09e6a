// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Carrier holds the propagation fields of one [Envelope]: traceparent and
// whatever else the propagator writes. Names are case-sensitive, as the member
// names of a JSON object are. The zero Carrier is empty and ready to use; it is
// not safe for concurrent use.
type Carrier struct {
	// The W3C fields have places of their own, so that the usual message needs
	// no slice; all others are kept in the order in which they were set.
	traceparent, tracestate, baggage string
	others                           []carrierField
}

type carrierField struct{ name, value string }

var _ propagation.TextMapCarrier = (*Carrier)(nil)

// Get returns the value of the field called key, or "" if there is none.
func (c *Carrier) Get(key string) string {
	if v := c.w3c(key); v != nil {
		return *v
	}
	for _, f := range c.others {
		if f.name == key {
			return f.value
		}
	}
	return ""
}

// Set stores value under key and replaces what was there. A field with an empty
// value is not written to an envelope.
func (c *Carrier) Set(key, value string) {
	if v := c.w3c(key); v != nil {
		*v = value
		return
	}
	if i := slices.IndexFunc(c.others, func(f carrierField) bool { return f.name == key }); i >= 0 {
		// A copied Carrier shares the slice: the other copy must not change.
		c.others = slices.Clone(c.others)
		c.others[i].value = value
		return
	}
	c.others = append(slices.Clip(c.others), carrierField{key, value})
}

// Keys returns the names of the fields that have a value: the W3C ones first,
// then the others in the order in which they were set.
func (c *Carrier) Keys() []string {
	keys := make([]string, 0, 3+len(c.others))
	for name, value := range c.all() {
		if value != "" {
			keys = append(keys, name)
		}
	}
	return keys
}

// all yields every field, the empty ones too, in the order of Keys.
func (c *Carrier) all() func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		if !yield(fieldTraceparent, c.traceparent) || !yield(fieldTracestate, c.tracestate) || !yield(fieldBaggage, c.baggage) {
			return
		}
		for _, f := range c.others {
			if !yield(f.name, f.value) {
				return
			}
		}
	}
}

const (
	fieldTraceparent = "traceparent"
	fieldTracestate  = "tracestate"
	fieldBaggage     = "baggage"
)

func (c *Carrier) w3c(key string) *string {
	switch key {
	case fieldTraceparent:
		return &c.traceparent
	case fieldTracestate:
		return &c.tracestate
	case fieldBaggage:
		return &c.baggage
	}
	return nil
}

func (c *Carrier) empty() bool {
	return c.traceparent == "" && c.tracestate == "" && c.baggage == "" && len(c.others) == 0
}

// inject writes the trace context and the baggage of ctx into carrier. A
// propagator that panics leaves it empty.
func (c *config) inject(ctx context.Context, carrier *Carrier) {
	p := c.propagation().propagator
	injected := false
	defer func() {
		if !injected {
			*carrier = Carrier{}
		}
	}()
	defer c.contain("WithPropagators")
	p.Inject(ctx, carrier)
	injected = true
}

// extractInto returns ctx with what the propagator finds in carrier; ctx itself
// if it panics.
func (c *config) extractInto(ctx context.Context, carrier *Carrier) (extracted context.Context) {
	p := c.propagation().propagator
	extracted = ctx
	defer c.contain("WithPropagators")
	return p.Extract(ctx, carrier)
}

// producer returns ctx with what the carrier carries, and the span context of
// the producer. That is not valid if the carrier has none, and then no span at
// all is in the context that is returned: the span of ctx is never left in it.
//
// From a publisher that is not trusted nothing gets into the context: not its
// span context, no baggage, and nothing else that a propagator may put there.
func (c *config) producer(ctx context.Context, carrier *Carrier) (context.Context, trace.SpanContext) {
	// The propagators leave the span of ctx in place when the carrier has no
	// valid one of its own, and it would pass for the producer's.
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpan(ctx, nil)
	}
	if carrier.empty() {
		return ctx, trace.SpanContext{}
	}
	if producer, done := c.extractW3C(carrier); done {
		if !c.publicEndpoint {
			ctx = trace.ContextWithRemoteSpanContext(ctx, producer)
		}
		return ctx, producer
	}
	if c.publicEndpoint {
		return ctx, trace.SpanContextFromContext(c.extractInto(context.Background(), carrier))
	}
	ctx = c.extractInto(ctx, carrier)
	return ctx, trace.SpanContextFromContext(ctx)
}

// extract is what a propagator's Extract does: without a valid span context in
// the carrier, that of ctx stays.
func (c *config) extract(ctx context.Context, carrier *Carrier) context.Context {
	extracted, producer := c.producer(ctx, carrier)
	switch {
	case !producer.IsValid():
		if ambient := trace.SpanFromContext(ctx); ambient.SpanContext().IsValid() {
			return trace.ContextWithSpan(extracted, ambient)
		}
	case c.publicEndpoint:
		return trace.ContextWithRemoteSpanContext(extracted, producer)
	}
	return extracted
}

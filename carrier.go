// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"encoding/hex"
	"reflect"
	"sync"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// Carrier holds the propagation fields of an [Envelope], such as traceparent and baggage.
// It implements propagation.TextMapCarrier, and carries what a propagation.MapCarrier would:
// all that a propagator has set, whether or not its Fields method names it. [Decode] says
// which members of a message are fields.
//
// Keys are case-sensitive, like the member names of a JSON object. The zero Carrier is
// empty and ready to use. A copy is independent of the original. A Carrier is not safe
// for concurrent use.
type Carrier struct{ fields wire.Fields }

var _ propagation.TextMapCarrier = (*Carrier)(nil)

// Get returns the value of a field, or "" if the field is not set.
func (c *Carrier) Get(key string) string { return c.fields.Get(key) }

// Set sets the value of a field. A field with an empty value is not written to an
// envelope.
func (c *Carrier) Set(key, value string) { c.fields.Set(key, value) }

// Keys returns the keys of the fields whose value is not empty: traceparent, tracestate
// and baggage first, then the others, sorted. An envelope has them in the same order.
func (c *Carrier) Keys() []string { return c.fields.Names() }

// inject writes the trace context and the baggage of ctx into carrier. If the
// propagator panics, carrier is empty.
func (c *config) inject(ctx context.Context, carrier *Carrier) {
	p := c.propagation().propagator
	injected := false
	defer func() {
		if !injected {
			*carrier = Carrier{}
		}
	}()
	defer c.contain("the propagator")
	p.Inject(ctx, carrier)
	injected = true
}

// extract returns ctx with what carrier holds, like the Extract method of a propagator. If
// carrier holds no valid span context, the span of ctx stays.
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

// producer returns the span context of the producer, and ctx with what carrier holds. If
// carrier holds no valid span context, the returned context has no span, not even the
// one of ctx.
//
// With a public endpoint, nothing that carrier holds gets into the context: no span
// context, no baggage, and no other value that the propagator extracts.
func (c *config) producer(ctx context.Context, carrier *Carrier) (context.Context, trace.SpanContext) {
	// If the carrier holds no valid span context, a propagator leaves the span of ctx in
	// place. It would be mistaken for the producer's.
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpan(ctx, nil)
	}
	if carrier.fields.Empty() {
		return ctx, trace.SpanContext{}
	}
	if producer, ok := c.parseCarrier(carrier); ok {
		if !c.publicEndpoint {
			ctx = trace.ContextWithRemoteSpanContext(ctx, producer)
		}
		return ctx, producer
	}
	if c.publicEndpoint {
		return ctx, trace.SpanContextFromContext(c.callExtract(context.Background(), carrier))
	}
	ctx = c.callExtract(ctx, carrier)
	return ctx, trace.SpanContextFromContext(ctx)
}

// callExtract calls the Extract method of the propagator. If that panics, it returns ctx.
func (c *config) callExtract(ctx context.Context, carrier *Carrier) (extracted context.Context) {
	p := c.propagation().propagator
	extracted = ctx
	defer c.contain("the propagator")
	return p.Extract(ctx, carrier)
}

// Most messages carry only a traceparent. For these, the functions below do the same as
// propagation.TraceContext, but faster, and publishing needs no string for each message.

// formatTraceparent appends the traceparent of ctx to b. ok is false if the propagator
// may inject other fields, too.
func (c *config) formatTraceparent(ctx context.Context, b []byte) (traceparent []byte, ok bool) {
	if !c.propagation().w3c {
		return b, false
	}
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() || sc.TraceState().Len() > 0 || baggage.FromContext(ctx).Len() > 0 {
		return b, false
	}
	return appendTraceparent(b, sc), true
}

// parseCarrier returns the span context of a carrier that holds only a traceparent, and
// fields that the propagator does not read. ok is false if the propagator has to extract it.
func (c *config) parseCarrier(carrier *Carrier) (sc trace.SpanContext, ok bool) {
	traceparent, only := carrier.fields.Traceparent()
	if !only || !c.propagation().w3c {
		return sc, false
	}
	return parseTraceparent(traceparent)
}

// knownFlags are the flags that version 00 of traceparent defines.
const knownFlags = trace.FlagsSampled | trace.FlagsRandom

func appendTraceparent(b []byte, sc trace.SpanContext) []byte {
	traceID, spanID := sc.TraceID(), sc.SpanID()
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, traceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, spanID[:])
	b = append(b, '-')
	return hex.AppendEncode(b, []byte{byte(sc.TraceFlags() & knownFlags)})
}

// parseTraceparent returns the span context of a traceparent of version 00. ok is false
// if s is not a valid one.
func parseTraceparent(s string) (sc trace.SpanContext, ok bool) {
	if len(s) != wire.LenTraceparent || s[:3] != "00-" || s[35] != '-' || s[52:54] != "-0" {
		return sc, false
	}
	flags := trace.TraceFlags(s[54] - '0')
	traceID, err := trace.TraceIDFromHex(s[3:35])
	if err != nil || flags > knownFlags {
		return sc, false
	}
	spanID, err := trace.SpanIDFromHex(s[36:52])
	if err != nil {
		return sc, false
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: flags, Remote: true}), true
}

// isW3C reports whether p is propagation.TraceContext, alone or together with
// propagation.Baggage, and the functions above do the same as it does.
func isW3C(p propagation.TextMapPropagator) bool {
	parts := []propagation.TextMapPropagator{p}
	if v := reflect.ValueOf(p); v.Type() == reflect.TypeOf(w3c) {
		parts = v.Convert(reflect.TypeOf(parts)).Interface().([]propagation.TextMapPropagator)
	}
	traceContext := false
	for _, part := range parts {
		switch part.(type) {
		case propagation.TraceContext:
			traceContext = true
		case propagation.Baggage:
		default:
			return false
		}
	}
	return traceContext && sameAsTraceContext()
}

// sameAsTraceContext reports whether appendTraceparent and parseTraceparent do the same as
// propagation.TraceContext. The application chooses the version of OpenTelemetry, and a
// later one may use another version of the header, or more flags.
var sameAsTraceContext = sync.OnceValue(func() bool {
	for _, flags := range []trace.TraceFlags{0, 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 0xff} {
		sc := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID:    trace.TraceID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 15: 1},
			SpanID:     trace.SpanID{0xfe, 0xdc, 0xba, 0x98, 7: 2},
			TraceFlags: flags,
		})
		theirs, ours := propagation.MapCarrier{}, string(appendTraceparent(nil, sc))
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), theirs)
		if len(theirs) != 1 || theirs.Get("traceparent") != ours {
			return false
		}
		extracted := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), theirs))
		if parsed, ok := parseTraceparent(ours); !ok || !parsed.Equal(extracted) {
			return false
		}
	}
	return true
})

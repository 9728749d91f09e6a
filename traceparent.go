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
)

// appendW3C appends what appendHead does for the usual context, which has a span,
// and neither a tracestate nor baggage, and for the usual propagator: without a
// carrier, and without a string for each message. It says whether it did.
func (c *config) appendW3C(ctx context.Context, b []byte) (head []byte, done bool) {
	if !c.propagation().w3c {
		return b, false
	}
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() || sc.TraceState().Len() > 0 || baggage.FromContext(ctx).Len() > 0 {
		return b, false
	}
	b = append(b, version1+`,"`+fieldTraceparent+`":"`...)
	b = appendTraceparent(b, sc)
	return append(b, '"'), true
}

// appendTraceparent appends what propagation.TraceContext injects.
func appendTraceparent(b []byte, sc trace.SpanContext) []byte {
	traceID, spanID := sc.TraceID(), sc.SpanID()
	flags := sc.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, traceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, spanID[:])
	b = append(b, '-')
	return hex.AppendEncode(b, []byte{byte(flags)})
}

// isW3C says whether p injects what appendW3C knows, where that does it: p is
// propagation.TraceContext, perhaps together with propagation.Baggage.
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
	return traceContext && tracesAlike()
}

// tracesAlike says whether appendTraceparent appends what propagation.TraceContext
// injects. Which version of that is linked, the application decides, and a later one
// may know another version of the header, or more flags.
var tracesAlike = sync.OnceValue(func() bool {
	for _, flags := range []trace.TraceFlags{0, 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 0xff} {
		sc := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID:    trace.TraceID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 15: 1},
			SpanID:     trace.SpanID{0xfe, 0xdc, 0xba, 0x98, 7: 2},
			TraceFlags: flags,
		})
		injected := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), injected)
		if len(injected) != 1 || injected[fieldTraceparent] != string(appendTraceparent(nil, sc)) {
			return false
		}
	}
	return true
})

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"encoding/hex"
	"reflect"
	"strings"
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

// extractW3C does what the propagator does with the usual carrier, which has nothing
// but a traceparent of version 00. It says whether it did.
func (c *config) extractW3C(carrier *Carrier) (sc trace.SpanContext, done bool) {
	if carrier.tracestate != "" || carrier.baggage != "" || len(carrier.others) > 0 || !c.propagation().w3c {
		return sc, false
	}
	return parseTraceparent(carrier.traceparent)
}

// parseTraceparent returns what propagation.TraceContext extracts. Whatever is odd
// about s is left to that.
func parseTraceparent(s string) (sc trace.SpanContext, ok bool) {
	if len(s) != traceparentLength || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return sc, false
	}
	var c trace.SpanContextConfig
	var flags [1]byte
	if !unhex(c.TraceID[:], s[3:35]) || !unhex(c.SpanID[:], s[36:52]) || !unhex(flags[:], s[53:]) {
		return sc, false
	}
	c.TraceFlags, c.Remote = trace.TraceFlags(flags[0]), true
	sc = trace.NewSpanContext(c)
	return sc, sc.IsValid() && c.TraceFlags <= trace.FlagsSampled|trace.FlagsRandom
}

const traceparentLength = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// unhex fills b from digits, twice as many. Capital ones are none: the W3C forbids
// them here, and encoding/hex takes them.
func unhex(b []byte, digits string) bool {
	for i := range b {
		high, low := nibbles[digits[2*i]], nibbles[digits[2*i+1]]
		if high|low > 0xf {
			return false
		}
		b[i] = high<<4 | low
	}
	return true
}

var nibbles = func() (n [256]byte) {
	for c := range n {
		n[c] = byte(min(uint(strings.IndexByte("0123456789abcdef", byte(c))), 0x10))
	}
	return n
}()

// isW3C says whether p does what appendW3C and extractW3C know, where they do it: p
// is propagation.TraceContext, perhaps together with propagation.Baggage.
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

// tracesAlike says whether appendTraceparent and parseTraceparent do what
// propagation.TraceContext does. Which version of that is linked, the application
// decides, and a later one may know another version of the header, or more flags.
var tracesAlike = sync.OnceValue(func() bool {
	for _, flags := range []trace.TraceFlags{0, 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 0xff} {
		sc := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID:    trace.TraceID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 15: 1},
			SpanID:     trace.SpanID{0xfe, 0xdc, 0xba, 0x98, 7: 2},
			TraceFlags: flags,
		})
		theirs, ours := propagation.MapCarrier{}, string(appendTraceparent(nil, sc))
		propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), theirs)
		if len(theirs) != 1 || theirs[fieldTraceparent] != ours {
			return false
		}
		extracted := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), theirs))
		if parsed, ok := parseTraceparent(ours); !ok || !parsed.Equal(extracted) {
			return false
		}
	}
	return true
})

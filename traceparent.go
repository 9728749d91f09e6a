// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"encoding/hex"
	"sync"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceparentLength is that of version 00, in bytes: the version, the trace id, the
// span id and the flags, in hexadecimal digits with dashes between them.
const traceparentLength = 2 + 1 + 32 + 1 + 16 + 1 + 2

// injectTraceContext writes what the Inject of propagation.TraceContext does, but
// writes the traceparent to room, where that makes a string for each message.
func injectTraceContext(ctx context.Context, carrier *Carrier, room *[traceparentLength]byte) {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return
	}
	if state := sc.TraceState(); state.Len() > 0 {
		carrier.tracestate = state.String()
	}
	traceID, spanID := sc.TraceID(), sc.SpanID()
	flags := sc.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom)
	b := append(room[:0], "00-"...)
	b = hex.AppendEncode(b, traceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, spanID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, []byte{byte(flags)})
	carrier.traceparent = ownedString(b)
}

// tracesAlike says whether injectTraceContext writes what propagation.TraceContext
// does. Which version of that is linked, the application decides, and a later one may
// know another version of the header, or more flags.
var tracesAlike = sync.OnceValue(func() bool {
	state, err := trace.ParseTraceState("a=1,b=2")
	if err != nil {
		return false
	}
	for _, flags := range []trace.TraceFlags{0, 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 0xff} {
		ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID:    trace.TraceID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 15: 1},
			SpanID:     trace.SpanID{0xfe, 0xdc, 0xba, 0x98, 7: 2},
			TraceFlags: flags,
			TraceState: state,
		}))
		theirs, ours := propagation.MapCarrier{}, Carrier{}
		propagation.TraceContext{}.Inject(ctx, theirs)
		injectTraceContext(ctx, &ours, new([traceparentLength]byte))
		if len(theirs) != 2 || theirs[fieldTraceparent] != ours.traceparent || theirs[fieldTracestate] != ours.tracestate {
			return false
		}
	}
	return true
})

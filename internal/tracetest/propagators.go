// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// CustomPropagator propagates the span context in the field x-trace, as two hexadecimal
// numbers with a slash between them.
type CustomPropagator struct{}

const customField = "x-trace"

// Inject writes the field.
func (CustomPropagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		carrier.Set(customField, sc.TraceID().String()+"/"+sc.SpanID().String())
	}
}

// Extract reads the field.
func (CustomPropagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	value := carrier.Get(customField)
	if len(value) != 49 {
		return ctx
	}
	var c trace.SpanContextConfig
	_, err1 := hex.Decode(c.TraceID[:], []byte(value[:32]))
	_, err2 := hex.Decode(c.SpanID[:], []byte(value[33:]))
	if err1 != nil || err2 != nil {
		return ctx
	}
	c.TraceFlags, c.Remote = trace.FlagsSampled, true
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(c))
}

// Fields returns the name of the field.
func (CustomPropagator) Fields() []string { return []string{customField} }

// PanickingPropagator panics with ErrTest when it injects or extracts. It has the field
// traceparent.
type PanickingPropagator struct{}

// Inject panics.
func (PanickingPropagator) Inject(context.Context, propagation.TextMapCarrier) { panic(ErrTest) }

// Extract panics.
func (PanickingPropagator) Extract(context.Context, propagation.TextMapCarrier) context.Context {
	panic(ErrTest)
}

// Fields returns traceparent.
func (PanickingPropagator) Fields() []string { return []string{"traceparent"} }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// reasonKeeper is a provider whose spans keep the description of their status. otelhttp
// sets the status of a server span last, and without a description. It would remove the one
// that the handler has set.
type reasonKeeper struct{ trace.TracerProvider }

func (k reasonKeeper) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return reasonKeepingTracer{k.TracerProvider.Tracer(name, options...)}
}

type reasonKeepingTracer struct{ trace.Tracer }

func (t reasonKeepingTracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := t.Tracer.Start(ctx, name, options...)
	span = reasonKeepingSpan{span}
	return trace.ContextWithSpan(ctx, span), span
}

type reasonKeepingSpan struct{ trace.Span }

func (s reasonKeepingSpan) SetStatus(code codes.Code, reason string) {
	if s, ok := s.Span.(sdktrace.ReadOnlySpan); ok && code == codes.Error && reason == "" && failed(s) {
		return
	}
	s.Span.SetStatus(code, reason)
}

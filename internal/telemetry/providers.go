// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The global providers are looked up on each call, because an application may set
// them after it has made its clients. The tracer and the instruments are cached for as
// long as the provider stays the same.

type cachedTracer struct {
	provider trace.TracerProvider
	tracer   trace.Tracer
}

// tracer returns the tracer of the current provider.
func (t *Telemetry) tracer() trace.Tracer {
	cached, provider := t.cachedTracer.Load(), t.TracerProvider
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	if cached != nil && (t.TracerProvider != nil || identical(cached.provider, provider)) {
		return cached.tracer
	}
	tracer := provider.Tracer(t.ScopeName,
		trace.WithInstrumentationVersion(t.ScopeVersion),
		trace.WithSchemaURL(semconv.SchemaURL))
	t.cachedTracer.Store(&cachedTracer{provider, tracer})
	return tracer
}

// instruments returns the instruments of the current provider.
func (t *Telemetry) instruments() *instruments {
	cached, provider := t.cachedInstruments.Load(), t.MeterProvider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	if cached != nil && (t.MeterProvider != nil || identical(cached.provider, provider)) {
		return cached
	}
	in, err := newInstruments(provider, t.ScopeName, t.ScopeVersion)
	t.cachedInstruments.Store(in)
	if err != nil {
		go t.HandleError(err) // the caller may hold a lock that the handler needs
	}
	return in
}

// identical reports whether a and b are the same provider.
func identical(a, b any) (same bool) {
	defer func() { _ = recover() }() // == panics for providers of a type that it cannot compare
	return a == b
}

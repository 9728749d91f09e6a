// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

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
	tracer := t.newTracer(provider)
	t.cachedTracer.Store(&cachedTracer{provider, tracer})
	return tracer
}

// noopTracer starts spans that do nothing.
var noopTracer = tracenoop.NewTracerProvider().Tracer("")

// newTracer returns a tracer of provider, or noopTracer if provider panics, for example
// because it is a nil pointer.
func (t *Telemetry) newTracer(provider trace.TracerProvider) (tracer trace.Tracer) {
	tracer = noopTracer
	defer t.contain(tracerProvider)
	return provider.Tracer(t.ScopeName,
		trace.WithInstrumentationVersion(t.ScopeVersion),
		trace.WithSchemaURL(semconv.SchemaURL))
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
	in := t.newInstruments(provider)
	if in == nil {
		in, _ = makeInstruments(metricnoop.NewMeterProvider(), t)
	}
	in.provider = provider
	t.cachedInstruments.Store(in)
	return in
}

// newInstruments returns the instruments of provider, or nil if provider panics, for example
// because it is a nil pointer.
func (t *Telemetry) newInstruments(provider metric.MeterProvider) *instruments {
	defer t.contain(meterProvider)
	in, err := makeInstruments(provider, t)
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

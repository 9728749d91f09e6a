// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"reflect"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The global provider and the global propagator are looked up on each call, so
// that one that is set later counts. What is made from them is kept for as long
// as they stay the same.

type tracerOf struct {
	provider trace.TracerProvider
	tracer   trace.Tracer
}

func (c *config) tracer() trace.Tracer {
	provider := c.tracerProvider
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	if kept := c.tracers.Load(); kept != nil && identical(kept.provider, provider) {
		return kept.tracer
	}
	tracer := provider.Tracer(ScopeName,
		trace.WithInstrumentationVersion(Version),
		trace.WithSchemaURL(semconv.SchemaURL))
	c.tracers.Store(&tracerOf{provider, tracer})
	return tracer
}

type fieldsOf struct {
	propagator propagation.TextMapPropagator
	fields     []string
}

var (
	w3c       = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	w3cFields = w3c.Fields()
)

// propagation returns the propagator in force and the names of its fields.
func (c *config) propagation() (propagation.TextMapPropagator, []string) {
	p := c.propagator
	if p == nil {
		p = otel.GetTextMapPropagator()
	}
	if kept := c.propagators.Load(); kept != nil && identical(kept.propagator, p) {
		return kept.propagator, kept.fields
	}
	fields := p.Fields()
	if len(fields) == 0 {
		// Not kept: the global default delegates to one that may be set later.
		if c.propagator == nil {
			return w3c, w3cFields
		}
		return p, nil
	}
	c.propagators.Store(&fieldsOf{p, fields})
	return p, fields
}

// identical says whether a and b are the same thing, without the panic of ==
// for types that cannot be compared: the SDK's composite propagator is a slice.
func identical(a, b any) bool {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	if va.Type() != vb.Type() {
		return false
	}
	if va.Kind() == reflect.Slice {
		return va.Len() == vb.Len() && va.Pointer() == vb.Pointer()
	}
	return va.Comparable() && vb.Comparable() && a == b
}

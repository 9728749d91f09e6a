// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry makes the spans and the metrics of producers and consumers, as
// the semantic conventions for messaging describe them. Every string that goes to
// OpenTelemetry passes through it.
//
// [Telemetry.Start] starts a span together with its measurement, and [Span.End] ends
// both:
//
//	ctx, span := t.Start(ctx, &telemetry.SpanStart{Operation: telemetry.Publish, Destination: "reports"})
//	defer span.End()
//	span.Returned(send(ctx))
//
// The operations, whose names begin the names of spans, are in operation.go. The
// name of a span and all attributes are made in attributes.go.
package telemetry

import (
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry starts spans and records metrics. Its exported fields are set before the
// first call and never changed. Its methods are safe for concurrent use.
type Telemetry struct {
	// ScopeName and ScopeVersion identify the instrumentation scope.
	ScopeName, ScopeVersion string
	// TracerProvider and MeterProvider are where the tracer and the instruments come
	// from. If one is nil, the global provider is looked up on each call.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Attributes are added to every span. If one has the key of an attribute that
	// this package sets, the package's value stays.
	Attributes []attribute.KeyValue
	// HandleError is called, on a goroutine of its own, with the error of a meter
	// provider that cannot make all instruments. It must not be nil.
	HandleError func(error)

	cachedTracer      atomic.Pointer[cachedTracer]
	cachedInstruments atomic.Pointer[instruments]
	startOptions      sync.Pool // of *startOptions
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry makes the spans and metrics of producers and consumers of messages. They
// follow the OpenTelemetry semantic conventions for messaging. All strings that go to
// OpenTelemetry pass through this package, which makes them valid UTF-8.
//
// [Telemetry.Start] starts a span together with its measurement, and [Span.End] ends
// both:
//
//	ctx, span := t.Start(ctx, &telemetry.SpanStart{Operation: telemetry.Publish, Destination: "reports"})
//	defer span.End()
//	span.Returned(send(ctx))
//
// The operations are in operation.go. The name of a span and all attributes are made in
// attributes.go, and the instruments in instruments.go.
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
	// TracerProvider and MeterProvider provide the tracer and the instruments. If one is
	// nil, the global provider is looked up on each call.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Attributes are added to every span. They do not replace attributes that this
	// package sets.
	Attributes []attribute.KeyValue
	// HandleError is called with the error of a meter provider that cannot make all
	// instruments, on a goroutine of its own. It must not be nil.
	HandleError func(error)
	// HandlePanic is called with the value of a panic in what the application has provided:
	// a provider, or what it has made, or an error. what names it. It must not be nil.
	HandlePanic func(what string, v any)

	cachedTracer      atomic.Pointer[cachedTracer]
	cachedInstruments atomic.Pointer[instruments]
	startOptions      sync.Pool // of *startOptions
}

// What may panic, for HandlePanic.
const (
	tracerProvider = "the tracer provider"
	meterProvider  = "the meter provider"
	methodOfError  = "a method of an error"
)

// contain is deferred around calls of what the application has provided. It recovers and
// reports a panic: telemetry must not break a program that works without it.
func (t *Telemetry) contain(what string) {
	if v := recover(); v != nil {
		t.HandlePanic(what, v)
	}
}

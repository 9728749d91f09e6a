// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// scope is the instrumentation scope of the application's own spans.
const scope = "github.com/tracedpubsub/tracedpubsub/examples/reports"

// An application usually sets these and one provider as the global ones, and passes none of
// them around. Here, one process runs several services.
var propagators = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// telemetry sends the spans of this process to the screen and to the backend.
type telemetry struct {
	spans   *collector
	backend sdktrace.SpanProcessor // nil: none
}

// flushTime is how long a backend may take to accept the last spans.
const flushTime = 2 * time.Second

func newTelemetry(ctx context.Context, otlp endpoint, stderr io.Writer) (*telemetry, error) {
	t := &telemetry{spans: newCollector()}
	if !otlp.set && !otlp.env {
		return t, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlp.options()...)
	if err != nil {
		return nil, fmt.Errorf("-otlp: %w", err)
	}
	t.backend = sdktrace.NewBatchSpanProcessor(&patientExporter{SpanExporter: exporter, stderr: stderr},
		sdktrace.WithBatchTimeout(time.Second), sdktrace.WithExportTimeout(flushTime))
	return t, nil
}

// provider returns the tracer provider of a service. It needs no shutdown of its own, since
// all providers share the span processors of t.
func (t *telemetry) provider(service string) *sdktrace.TracerProvider {
	name, err := resource.Merge(resource.Default(), resource.NewSchemaless(semconv.ServiceName(service)))
	if err != nil {
		name = resource.NewSchemaless(semconv.ServiceName(service))
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(name),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithSpanProcessor(t.spans),
	}
	if t.backend != nil {
		options = append(options, sdktrace.WithSpanProcessor(t.backend))
	}
	return sdktrace.NewTracerProvider(options...)
}

// shutdown sends the spans that have not been sent yet. It returns within a limited time.
func (t *telemetry) shutdown() {
	if t.backend == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime+time.Second)
	defer cancel()
	_ = t.backend.Shutdown(ctx) // patientExporter has logged the error
}

// patientExporter logs only the first error of an outage of the backend. The backend misses
// the spans of that time.
type patientExporter struct {
	sdktrace.SpanExporter
	stderr io.Writer
	away   atomic.Bool
}

func (e *patientExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil && !e.away.Swap(true) {
		fmt.Fprintf(e.stderr, "reports: the OTLP backend does not take the traces: %s\n", oneLine(err.Error()))
	}
	if err == nil {
		e.away.Store(false)
	}
	return nil
}

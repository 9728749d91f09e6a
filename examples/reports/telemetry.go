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

// An application would usually set these and one provider as the global ones,
// and pass none of them around. Here one process stands for several services.
var propagators = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// telemetry is where the spans of this process go.
type telemetry struct {
	spans   *collector
	backend sdktrace.SpanProcessor // nil: none
}

// flushTime is how long a backend may take for the last spans.
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

// provider returns the tracer provider of a service. It needs no shutdown of its
// own: what it sends its spans to is shared, and ends with t.
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

// shutdown sends what has not been sent yet, in a bounded time.
func (t *telemetry) shutdown() {
	if t.backend == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime+time.Second)
	defer cancel()
	_ = t.backend.Shutdown(ctx) // patientExporter has told of what went wrong
}

// patientExporter tells once that the backend is away, and once it is back
// begins anew. The spans of the time between are lost to the backend.
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

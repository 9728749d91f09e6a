// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// protocol is a protocol of OTLP, with the exporters that an application uses for it.
type protocol struct {
	name  string
	serve func(c *collector, t *testing.T) (address string)
	spans func(ctx context.Context, address string) (sdktrace.SpanExporter, error)
	sums  func(ctx context.Context, address string) (sdkmetric.Exporter, error)
}

var protocols = []protocol{{
	name:  "HTTP",
	serve: (*collector).serveHTTP,
	spans: func(ctx context.Context, address string) (sdktrace.SpanExporter, error) {
		return otlptracehttp.New(ctx, otlptracehttp.WithInsecure(), otlptracehttp.WithEndpoint(address))
	},
	sums: func(ctx context.Context, address string) (sdkmetric.Exporter, error) {
		return otlpmetrichttp.New(ctx, otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithEndpoint(address))
	},
}, {
	name:  "gRPC",
	serve: (*collector).serveGRPC,
	spans: func(ctx context.Context, address string) (sdktrace.SpanExporter, error) {
		return otlptracegrpc.New(ctx, otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(address))
	},
	sums: func(ctx context.Context, address string) (sdkmetric.Exporter, error) {
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithEndpoint(address))
	},
}}

// exporting is the SDK of an application, with what its collector has got.
type exporting struct {
	*collector

	tracers *sdktrace.TracerProvider
	meters  *sdkmetric.MeterProvider
	another metric.Int64Counter
}

// export starts a collector and an SDK that exports to it when flush is called. In each
// batch and each export there is something that is not of this library.
func export(t *testing.T, p protocol) *exporting {
	t.Helper()
	e := &exporting{collector: new(collector)}
	address := p.serve(e.collector, t)
	spans, err1 := p.spans(t.Context(), address)
	metrics, err2 := p.sums(t.Context(), address)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	e.tracers = sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans, sdktrace.WithBatchTimeout(time.Hour)))
	e.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(time.Hour))))
	t.Cleanup(func() { // before the collector stops; what was to be exported is exported already
		_ = e.tracers.Shutdown(context.Background())
		_ = e.meters.Shutdown(context.Background())
	})
	_, span := e.tracers.Tracer("another").Start(t.Context(), "another")
	span.End()
	e.another, err1 = e.meters.Meter("another").Int64Counter("another")
	if err1 != nil {
		t.Fatal(err1)
	}
	e.another.Add(t.Context(), 1)
	return e
}

// options returns the options that make the library use the SDK.
func (e *exporting) options() []tracedpubsub.Option {
	return []tracedpubsub.Option{tracedpubsub.WithTracerProvider(e.tracers), tracedpubsub.WithMeterProvider(e.meters)}
}

// flush exports the spans that have ended, and all metrics.
func (e *exporting) flush(ctx context.Context) (spans, metrics error) {
	return e.tracers.ForceFlush(ctx), e.meters.ForceFlush(ctx)
}

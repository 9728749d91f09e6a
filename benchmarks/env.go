// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// w3c is the propagator that applications usually set.
var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// Env is shared by all variants. It has one Redis server and one set of providers, so that
// no variant pays for its own.
type Env struct {
	addr    string
	rdb     *redis.Client // for commands that are not measured
	spans   map[Sampling]*sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	dropped *sdkmetric.MeterProvider // drops every instrument
}

// NewEnv returns an Env for the server at addr. Spans go to the exporter in
// batches; nil discards them. The caller closes the Env.
func NewEnv(addr string, exporter sdktrace.SpanExporter) *Env {
	if exporter == nil {
		exporter = discard{}
	}
	dropAll := sdkmetric.NewView(sdkmetric.Instrument{Name: "*"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})
	return &Env{
		addr: addr,
		rdb:  redis.NewClient(&redis.Options{Addr: addr}),
		spans: map[Sampling]*sdktrace.TracerProvider{
			Sampled:   sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithSampler(sdktrace.AlwaysSample())),
			Unsampled: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithSampler(sdktrace.NeverSample())),
		},
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
		dropped: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()), sdkmetric.WithView(dropAll)),
	}
}

// Flush waits until all spans are exported, so that no variant exports those of another.
func (e *Env) Flush() error {
	var failed error
	for _, tp := range e.spans {
		failed = errors.Join(failed, tp.ForceFlush(context.Background()))
	}
	return failed
}

// Close releases the resources of e.
func (e *Env) Close() error {
	ctx := context.Background()
	failed := errors.Join(e.rdb.Close(), e.metrics.Shutdown(ctx), e.dropped.Shutdown(ctx))
	for _, tp := range e.spans {
		failed = errors.Join(failed, tp.Shutdown(ctx))
	}
	return failed
}

func (e *Env) tracerProvider(s Setting) trace.TracerProvider {
	if tp, ok := e.spans[s.Sampling]; ok {
		return tp
	}
	return noop.NewTracerProvider()
}

// meterProvider returns the meter provider of a setting, or nil if there is none.
func (e *Env) meterProvider(s Setting) metric.MeterProvider {
	if s.Metrics {
		return e.metrics
	}
	return nil
}

// context returns the context of a publisher. It has a span, as in a request.
func (e *Env) context(s Setting) context.Context {
	config := trace.SpanContextConfig{TraceID: trace.TraceID{0x0a, 0xf7}, SpanID: trace.SpanID{0xb7, 0xad}}
	if s.Sampling != Unsampled {
		config.TraceFlags = trace.FlagsSampled
	}
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(config))
}

// server returns the host and port of the server, for attributes.
func (e *Env) server() (host string, port int) {
	host, text, _ := net.SplitHostPort(e.addr)
	port, _ = strconv.Atoi(text)
	return host, port
}

type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

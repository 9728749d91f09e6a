// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// brokenTracers is a tracer provider whose tracer starts spans with start.
type brokenTracers struct {
	tracenoop.TracerProvider
	start func(ctx context.Context) (context.Context, trace.Span)
}

type brokenTracer struct {
	tracenoop.Tracer
	brokenTracers
}

func (b brokenTracers) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return brokenTracer{brokenTracers: b}
}

func (b brokenTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return b.start(ctx)
}

// brokenSpan is a span that panics when it is used, if it is not a nil pointer.
type brokenSpan struct{ trace.Span }

func (s *brokenSpan) SpanContext() trace.SpanContext { _ = *s; return trace.SpanContext{} }
func (*brokenSpan) IsRecording() bool                { panic(tracetest.ErrTest) }
func (*brokenSpan) End(...trace.SpanEndOption)       { panic(tracetest.ErrTest) }

// panickingMeters is a meter provider whose instruments panic.
type panickingMeters struct{ metricnoop.MeterProvider }

type panickingMeter struct{ metricnoop.Meter }

type panickingCounter struct{ metricnoop.Int64Counter }

type panickingHistogram struct{ metricnoop.Float64Histogram }

func (panickingMeters) Meter(string, ...metric.MeterOption) metric.Meter { return panickingMeter{} }

func (panickingMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return panickingCounter{}, nil
}

func (panickingMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return panickingHistogram{}, nil
}

func (panickingCounter) Enabled(context.Context) bool   { return true }
func (panickingHistogram) Enabled(context.Context) bool { return true }

func (panickingCounter) Add(context.Context, int64, ...metric.AddOption) { panic(tracetest.ErrTest) }

func (panickingHistogram) Record(context.Context, float64, ...metric.RecordOption) {
	panic(tracetest.ErrTest)
}

// broken are values for options that panic when they are used.
var broken = []struct {
	name, reason string
	option       tracedpubsub.Option
	says         string // the report
	once         bool   // it is reported once, and not with each message
	spans        bool   // there are spans all the same
	propagates   bool
}{
	{"tracer provider that is a nil pointer", "tracing was not configured", tracedpubsub.WithTracerProvider((*sdktrace.TracerProvider)(nil)), "the tracer provider", true, false, true},
	{"tracer that panics", "perhaps its sampler does", tracedpubsub.WithTracerProvider(brokenTracers{start: func(context.Context) (context.Context, trace.Span) {
		panic(tracetest.ErrTest)
	}}), "the tracer provider", false, false, true},
	{"span that is a nil pointer", "an error in a tracer", tracedpubsub.WithTracerProvider(brokenTracers{start: func(ctx context.Context) (context.Context, trace.Span) {
		return trace.ContextWithSpan(ctx, (*brokenSpan)(nil)), (*brokenSpan)(nil)
	}}), "the tracer provider", false, false, true},
	{"span that is nil", "likewise", tracedpubsub.WithTracerProvider(brokenTracers{start: func(context.Context) (context.Context, trace.Span) {
		return nil, nil
	}}), "the tracer provider", false, false, true},
	{"span that panics", "perhaps its processor does", tracedpubsub.WithTracerProvider(brokenTracers{start: func(ctx context.Context) (context.Context, trace.Span) {
		return ctx, &brokenSpan{}
	}}), "the tracer provider", false, false, true},
	{"meter provider that is a nil pointer", "metrics were not configured", tracedpubsub.WithMeterProvider((*sdkmetric.MeterProvider)(nil)), "the meter provider", true, true, true},
	{"instruments that panic", "an error in a meter provider", tracedpubsub.WithMeterProvider(panickingMeters{}), "the meter provider", false, true, true},
	{"propagator that is a nil pointer", "propagation was not configured", tracedpubsub.WithPropagators((*propagation.TraceContext)(nil)), "the propagator", true, true, false},
	{"propagator with a part that is nil", "one of several was not configured", tracedpubsub.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, nil)), "the propagator", true, true, false},
}

// What an application has provided for telemetry may panic. Its messages are sent and
// delivered, and the error handler is told.
func TestBrokenProviders(t *testing.T) {
	server := redistest.Start(t)
	for _, row := range broken {
		for _, way := range tracetest.WaysToReceive[:2] { // the others leave the span to the application
			t.Run(row.name+"/"+way.Name, func(t *testing.T) {
				ctx, rec, rdb := tracetest.Context(t), tracetest.NewRecorder(t), server.Client()
				var errs tracetest.ErrorLog
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), row.option, errs.Option())
				source := &tracetest.Source{Client: client, Sub: tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))}
				raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
				publishing, caller := tracetest.WithCaller(t, ctx)
				for range 3 {
					tracetest.AssertSent(t, client.Publish(publishing, "reports", "hello"))
					sent := tracetest.NextRaw(t, raw)
					if got := strings.Contains(sent.Payload, caller.TraceID().String()); got != row.propagates {
						t.Errorf("on the wire is %s, with the trace of the caller: %t, want %t", sent.Payload, got, row.propagates)
					}
					way.Receive(t, ctx, source, func(ctx context.Context, m *tracedpubsub.Message) {
						if m.Payload != "hello" || m.Err != nil || m.Extract(ctx) == nil {
							t.Errorf("received %q, %v, want hello", m.Payload, m.Err)
						}
					})
				}
				spans := 0
				if row.spans {
					spans = 6
				}
				rec.Spans(t, spans)
				assertReportsPanic(t, errs.All(), row.says, row.once)
				if t.Failed() {
					t.Log(row.reason)
				}
			})
		}
	}
}

// assertReportsPanic asserts that there are reports of a panic in what says names.
func assertReportsPanic(t *testing.T, reports []error, says string, once bool) {
	t.Helper()
	if len(reports) == 0 || once && len(reports) > 1 {
		t.Errorf("the error handler got %v, want reports (only one: %t)", reports, once)
	}
	for _, err := range reports {
		if text := err.Error(); !strings.HasPrefix(text, "tracedpubsub: panic in ") || !strings.Contains(text, says) {
			t.Errorf("the error handler got %q, want a panic in %s", text, says)
		}
	}
}

// A hook is called within go-redis, whose callers do not even know of it.
func TestBrokenProvidersOfAHook(t *testing.T) {
	for _, row := range broken {
		t.Run(row.name, func(t *testing.T) {
			server := redistest.Start(t)
			ctx, rdb := tracetest.Context(t), server.Client()
			var errs tracetest.ErrorLog
			tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), row.option, errs.Option())
			raw := tracetest.ReadyRaw(t, server.Client().Subscribe(ctx, "reports"))
			tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
			if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				return pipe.Publish(ctx, "reports", "hello").Err()
			}); err != nil {
				t.Error(err)
			}
			for range 2 {
				if e, err := tracedpubsub.Decode(tracetest.NextRaw(t, raw).Payload); e.Payload != "hello" || err != nil {
					t.Errorf("received %q, %v, want hello", e.Payload, err)
				}
			}
			assertReportsPanic(t, errs.All(), row.says, row.once)
		})
	}
}

// The global providers may be broken as well.
func TestBrokenGlobals(t *testing.T) {
	for _, row := range []struct {
		name, reason, says string
		set                func(t *testing.T)
	}{
		{"tracer provider", "it is nil", "the tracer provider", func(t *testing.T) { tracetest.SetGlobalTracer(t, nil) }},
		{"tracer provider that is a nil pointer", "tracing was not configured", "the tracer provider", func(t *testing.T) { tracetest.SetGlobalTracer(t, (*sdktrace.TracerProvider)(nil)) }},
		{"meter provider", "it is nil", "the meter provider", func(t *testing.T) { tracetest.SetGlobalMeter(t, nil) }},
		{"meter provider that is a nil pointer", "metrics were not configured", "the meter provider", func(t *testing.T) { tracetest.SetGlobalMeter(t, (*sdkmetric.MeterProvider)(nil)) }},
		{"propagator", "it is nil", "the propagator", func(t *testing.T) { setGlobalPropagator(t, nil) }},
		{"propagator that is a nil pointer", "propagation was not configured", "the propagator", func(t *testing.T) { setGlobalPropagator(t, (*propagation.TraceContext)(nil)) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, rdb := tracetest.Context(t), redistest.Start(t).Client()
			// The first providers that are set are used for ever by those that were there before.
			tracetest.SetGlobalTracer(t, tracenoop.NewTracerProvider())
			tracetest.SetGlobalMeter(t, metricnoop.NewMeterProvider())
			row.set(t)
			var errs tracetest.ErrorLog
			client := tracedpubsub.Wrap(rdb, errs.Option())
			sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
			for range 3 {
				tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
				for _, m := range sub.Messages(ctx) {
					if m.Payload != "hello" {
						t.Errorf("received %q, want hello: %s", m.Payload, row.reason)
					}
					break
				}
			}
			assertReportsPanic(t, errs.All(), row.says, true)
		})
	}
}

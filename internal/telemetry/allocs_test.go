// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"strconv"
	"testing"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// fewestAllocs returns how many allocations f makes when it finds in the pools what it
// has put there. Now and then it does not, with the race detector on purpose.
func fewestAllocs(f func()) float64 {
	fewest := testing.AllocsPerRun(1, f)
	for range 200 {
		fewest = min(fewest, testing.AllocsPerRun(1, f))
	}
	return fewest
}

func newMeterProvider(t *testing.T, opts ...sdkmetric.Option) metric.MeterProvider {
	t.Helper()
	mp := sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(sdkmetric.NewManualReader()))...)
	t.Cleanup(func() { _ = mp.Shutdown(context.Background()) })
	return mp
}

// dropAll leaves an SDK without any instrument that is enabled.
var dropAll = sdkmetric.WithView(sdkmetric.NewView(
	sdkmetric.Instrument{Name: "*"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}))

// Recording allocates nothing for the first templates, whatever the outcome is, and with
// exemplars: the spans are sampled. What is not enabled does not even use the cache.
func TestRecordingAllocatesNothing(t *testing.T) {
	tp := sdktrace.NewTracerProvider()
	t.Cleanup(func() { _ = tp.Shutdown(context.Background()) })
	ctx, span := tp.Tracer("caller").Start(t.Context(), "caller")
	defer span.End()
	server := NewServer("tcp", "localhost:6379")
	for name, mp := range map[string]metric.MeterProvider{
		"SDK": newMeterProvider(t), "dropped": newMeterProvider(t, dropAll), "no-op": metricnoop.NewMeterProvider(), "absent": nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := &Telemetry{MeterProvider: mp}
			for i := range maxTemplates {
				s := &SpanStart{Template: "user." + strconv.Itoa(i), Server: server}
				run := func() {
					for _, s.Operation = range []*Operation{Publish, SPublish, Send, Process} {
						for _, errorType := range []string{"", panicErrorType, "_OTHER"} {
							var m measurement
							m.start(ctx, r.instruments(), s)
							m.end(errorType)
							m.count(errorType)
						}
					}
					r.CountReconnect(ctx, server)
					r.CountSubscriptionError(ctx, server, context.Canceled)
				}
				// It runs once before what is counted. The rest of the process may allocate, too,
				// such as a pool after a garbage collection; so one try of several is enough.
				got := testing.AllocsPerRun(3, run)
				for try := 1; got != 0 && try < 5; try++ {
					got = testing.AllocsPerRun(3, run)
				}
				if got != 0 {
					t.Fatalf("%v allocations for template %d, want 0", got, i)
				}
			}
			if cached := *r.instruments().series.templates.Load(); name != "SDK" && (len(cached) != 1 || len(cached[""]) != 0) {
				t.Errorf("there are series of %d templates, although nothing is recorded", len(cached))
			}
		})
	}
}

// Which providers are in force is asked for each message.
func TestAllocationsOfProviderLookup(t *testing.T) {
	for name, r := range map[string]*Telemetry{
		"global":   {},
		"pointers": {TracerProvider: sdktrace.NewTracerProvider(), MeterProvider: newMeterProvider(t)},
		"structs":  {TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()},
	} {
		if got := testing.AllocsPerRun(100, func() {
			r.tracer()
			r.instruments()
		}); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

// Beside what the tracer does, a span costs its name. A cache of names would save that,
// and be more code than it is worth.
func TestAllocationsOfSpans(t *testing.T) {
	ctx := t.Context()
	for name, tp := range map[string]trace.TracerProvider{
		"sampled":   sdktrace.NewTracerProvider(),
		"unsampled": sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())),
		"no-op":     tracenoop.NewTracerProvider(),
	} {
		r := &Telemetry{TracerProvider: tp, MeterProvider: newMeterProvider(t)}
		s := SpanStart{Operation: Publish, Destination: "reports", Server: NewServer("tcp", "localhost:6379")}
		options, tracer := newStartOptions(nil).fill(&s), tp.Tracer("")
		floor := fewestAllocs(func() {
			_, span := tracer.Start(ctx, "publish reports", options...)
			span.End()
		})
		if got := fewestAllocs(func() {
			_, span := r.Start(ctx, &s)
			defer span.End()
			span.Returned(nil)
		}); got != floor+1 {
			t.Errorf("%s: %v allocations, want the %v of the tracer, and 1", name, got, floor)
		}
	}
}

// An attribute that is known only after the reply costs one allocation, beside the
// room that the SDK makes for it, and nothing if the span is not recorded.
func TestAllocationsOfReceivers(t *testing.T) {
	for name, row := range map[string]struct {
		sampler sdktrace.Sampler
		want    float64
	}{
		"sampled":   {sdktrace.AlwaysSample(), 1},
		"unsampled": {sdktrace.NeverSample(), 0},
	} {
		r := &Telemetry{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(row.sampler))}
		_, span := r.Start(t.Context(), &SpanStart{Operation: Publish})
		if got := fewestAllocs(func() { span.SetReceivers(3) }); got != row.want {
			t.Errorf("%s: %v allocations, want %v", name, got, row.want)
		}
		span.Returned(nil)
		span.End()
	}
}

// The options of a span do not stay: those of the next span may be fewer, and would leave
// the rest of them in memory for ever.
func TestStartOptionsAreReleased(t *testing.T) {
	r := &Telemetry{TracerProvider: tracenoop.NewTracerProvider()}
	linked := SpanStart{Operation: Send, Links: make([]trace.Link, 1000), Options: []trace.SpanStartOption{trace.WithNewRoot()}}
	for _, start := range []SpanStart{linked, {Operation: Publish}} {
		r.Start(t.Context(), &start)
		o, _ := r.startOptions.Get().(*startOptions)
		if o == nil {
			continue // with the race detector a pool loses some on purpose
		}
		for i, option := range o.options[:cap(o.options)] {
			if option != nil {
				t.Errorf("option %d is kept after %q", i, start.Operation.name)
			}
		}
		r.startOptions.Put(o)
	}
}

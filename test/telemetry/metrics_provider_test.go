// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"errors"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The instruments are those of the conventions, and two more.
func TestInstruments(t *testing.T) {
	advised := []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	rows := []struct {
		name, unit, description string
		boundaries              []float64 // nil: a counter
	}{
		{tracetest.OperationDuration, "s", "Duration of messaging operation initiated by a producer or consumer client.", advised},
		{tracetest.SentMessages, "{message}", "Number of messages producer attempted to send to the broker.", nil},
		{tracetest.ConsumedMessages, "{message}", "Number of messages that were delivered to the application.", nil},
		{tracetest.ProcessDuration, "s", "Duration of processing operation.", advised},
		{tracetest.Reconnects, "{reconnect}", "Number of times that a subscription replaced a lost connection.", nil},
		{tracetest.SubscriptionErrors, "{error}", "Number of times that a subscription lost its connection, failed to connect, or had a channel or pattern refused or removed by the server.", nil},
	}
	meters, rdb := tracetest.NewMetrics(t), redistest.Start(t).Client()
	recordToAll(t, rdb, tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithErrorHandler(func(error) {})), meters)
	scopes := meters.Scopes(t)
	if len(scopes) != 1 {
		t.Fatalf("%d scopes, want one", len(scopes))
	}
	if s := scopes[0].Scope; s.Name != tracedpubsub.ScopeName || s.Version != tracedpubsub.Version || s.SchemaURL != semconv.SchemaURL {
		t.Errorf("scope is %+v", s)
	}
	found := meters.ByName(t)
	if len(found) != len(rows) {
		t.Errorf("%d instruments, want %d", len(found), len(rows))
	}
	for _, row := range rows {
		got := found[row.name]
		if got.Unit != row.unit || got.Description != row.description {
			t.Errorf("%s has unit %q and description %q, want %q and %q", row.name, got.Unit, got.Description, row.unit, row.description)
		}
		switch data := got.Data.(type) {
		case metricdata.Sum[int64]:
			if row.boundaries != nil || !data.IsMonotonic {
				t.Errorf("%s is a sum, monotonic %v", row.name, data.IsMonotonic)
			}
		case metricdata.Histogram[float64]:
			if !slices.Equal(data.DataPoints[0].Bounds, row.boundaries) {
				t.Errorf("boundaries of %s are %v, want %v", row.name, data.DataPoints[0].Bounds, row.boundaries)
			}
		default:
			t.Errorf("%s is a %T", row.name, data)
		}
	}
}

// recordToAll makes each instrument record something.
func recordToAll(t *testing.T, rdb *redis.Client, client *tracedpubsub.Client, meters *tracetest.Metrics) {
	t.Helper()
	ctx := tracetest.Context(t)
	sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
	tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
	for range sub.Messages(ctx) {
		break
	}
	tracetest.KillSubscriptions(t, rdb)
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the subscription reconnects", func() bool { return meters.Total(t, tracetest.Reconnects) == 1 })
}

// Clients over one pool record with their own providers.
func TestSeveralMeterProvidersOverOnePool(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		for i := range 3 {
			meters := tracetest.NewMetrics(t)
			client := tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithMeterProvider(nil))
			sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
			for range i + 1 {
				tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
				for range sub.Messages(ctx) {
					break
				}
			}
			_ = sub.Close()
			meters.AssertPoints(t, tracetest.SentMessages, tracetest.MessagePoint(int64(i+1), rdb, "publish"))
			meters.AssertPoints(t, tracetest.ConsumedMessages, tracetest.MessagePoint(int64(i+1), rdb, "process"))
		}
	})
}

// A global meter provider that is set while a Client is in use counts from then on.
func TestGlobalMeterProviderSetLaterCounts(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, client := tracetest.Context(t), tracedpubsub.Wrap(rdb)
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		use := func() {
			tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
			for range sub.Messages(ctx) {
				break
			}
		}
		use() // the no-op provider is used, and cached
		for range 2 {
			meters := tracetest.NewMetrics(t)
			tracetest.SetGlobalMeter(t, meters)
			use()
			meters.AssertOnly(t, tracetest.OperationDuration, tracetest.SentMessages, tracetest.ConsumedMessages, tracetest.ProcessDuration)
			meters.AssertPoints(t, tracetest.OperationDuration, tracetest.MessagePoint(1, rdb, "publish"))
			meters.AssertPoints(t, tracetest.ConsumedMessages, tracetest.MessagePoint(1, rdb, "process"))
		}
	})
}

// The exemplar of a measurement is its span.
func TestExemplars(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters, spans := tracetest.Context(t), tracetest.NewMetrics(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithTracerProvider(spans))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		publishing, _ := tracetest.WithCaller(t, ctx)
		tracetest.AssertSent(t, client.Publish(publishing, "reports", "hello"))
		consuming, _ := tracetest.WithCaller(t, ctx)
		for range sub.Messages(consuming) {
			break
		}
		measured := spans.Spans(t, 2)
		for name, span := range map[string]sdktrace.ReadOnlySpan{
			tracetest.OperationDuration: measured[0], tracetest.SentMessages: measured[0], tracetest.ConsumedMessages: measured[1], tracetest.ProcessDuration: measured[1],
		} {
			points := meters.Points(t, name)
			if len(points) != 1 || len(points[0].Exemplars) != 1 {
				t.Errorf("%s has %+v, want one exemplar", name, points)
				continue
			}
			e, want := points[0].Exemplars[0], span.SpanContext()
			if traceID, spanID := want.TraceID(), want.SpanID(); !slices.Equal(e.TraceID, traceID[:]) || !slices.Equal(e.SpanID, spanID[:]) {
				t.Errorf("the exemplar of %s is span %x of trace %x, want %v of %v", name, e.SpanID, e.TraceID, spanID, traceID)
			}
		}
	})
}

// If a view drops an instrument, the others still record.
func TestDroppedInstruments(t *testing.T) {
	all := []string{tracetest.OperationDuration, tracetest.SentMessages, tracetest.ConsumedMessages, tracetest.ProcessDuration, tracetest.Reconnects, tracetest.SubscriptionErrors}
	rdb := redistest.Start(t).Client()
	for _, name := range []string{tracetest.OperationDuration, tracetest.SentMessages, tracetest.ConsumedMessages, tracetest.ProcessDuration, tracetest.SubscriptionErrors} {
		t.Run(name, func(t *testing.T) {
			meters := tracetest.NewMetrics(t, sdkmetric.WithView(sdkmetric.NewView(
				sdkmetric.Instrument{Name: name}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})))
			recordToAll(t, rdb, tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithErrorHandler(func(error) {})), meters)
			meters.AssertOnly(t, slices.DeleteFunc(slices.Clone(all), func(n string) bool { return n == name })...)
		})
	}
}

// brokenMeters is a provider that cannot make histograms.
type brokenMeters struct{ metricnoop.MeterProvider }

type brokenMeter struct{ metricnoop.Meter }

var errMeter = errors.New("no histograms today")

func (brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

func (brokenMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errMeter
}

// An instrument that cannot be made is reported once. Messages are published and consumed
// without it.
func TestInstrumentsThatCannotBeMade(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		reported := make(chan error, 10)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithMeterProvider(brokenMeters{}),
			tracedpubsub.WithErrorHandler(func(err error) { reported <- err }))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		for range 3 {
			tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
			for range sub.Messages(ctx) {
				break
			}
		}
		if err := <-reported; !errors.Is(err, errMeter) {
			t.Errorf("the error handler got %v, want %v", err, errMeter)
		}
		if n := len(reported); n != 0 {
			t.Errorf("the error handler got %d more errors", n)
		}
	})
}

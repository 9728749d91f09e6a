// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// The instruments by their names.
const (
	operationDuration = "messaging.client.operation.duration"
	sentMessages      = "messaging.client.sent.messages"
	consumedMessages  = "messaging.client.consumed.messages"
	processDuration   = "messaging.process.duration"
	reconnects        = "tracedpubsub.subscription.reconnects"
	subscribeErrors   = "tracedpubsub.subscription.errors"
)

// metering is a meter provider, and what an exporter gets from it.
type metering struct {
	*sdkmetric.MeterProvider

	reader *sdkmetric.ManualReader
}

func newMetering(t *testing.T, opts ...sdkmetric.Option) *metering {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	m := &metering{sdkmetric.NewMeterProvider(append(slices.Clip(opts), sdkmetric.WithReader(reader))...), reader}
	t.Cleanup(func() { _ = m.MeterProvider.Shutdown(context.Background()) })
	return m
}

func (m *metering) option() tracedpubsub.Option {
	return tracedpubsub.WithMeterProvider(m.MeterProvider)
}

// scopes returns all that was recorded so far.
func (m *metering) scopes(t *testing.T) []metricdata.ScopeMetrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &all); err != nil {
		t.Fatalf("collect the metrics: %v", err)
	}
	return all.ScopeMetrics
}

// metrics returns them by the names of the instruments.
func (m *metering) metrics(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	found := make(map[string]metricdata.Metrics)
	for _, scope := range m.scopes(t) {
		for _, metric := range scope.Metrics {
			if _, twice := found[metric.Name]; twice {
				t.Errorf("%s is there twice", metric.Name)
			}
			found[metric.Name] = metric
		}
	}
	return found
}

// point is one time series: how much was counted, or how often a duration was
// recorded, and how long those were together.
type point struct {
	attributes attribute.Set
	n          int64
	seconds    float64
	traces     []metricdata.Exemplar[float64]
}

// points returns the series of an instrument; none if it has recorded nothing.
func (m *metering) points(t *testing.T, name string) (points []point) {
	t.Helper()
	switch data := m.metrics(t)[name].Data.(type) {
	case nil:
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			var traces []metricdata.Exemplar[float64]
			for _, e := range p.Exemplars {
				traces = append(traces, metricdata.Exemplar[float64]{TraceID: e.TraceID, SpanID: e.SpanID})
			}
			points = append(points, point{p.Attributes, p.Value, 0, traces})
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			points = append(points, point{p.Attributes, int64(p.Count), p.Sum, p.Exemplars})
		}
	default:
		t.Fatalf("%s is a %T", name, data)
	}
	return points
}

// total is the sum over all series of an instrument.
func (m *metering) total(t *testing.T, name string) (n int64) {
	t.Helper()
	for _, p := range m.points(t, name) {
		n += p.n
	}
	return n
}

// assertPoints asserts that an instrument has recorded to the given series, and
// to no others.
func (m *metering) assertPoints(t *testing.T, name string, want ...point) {
	t.Helper()
	got := m.points(t, name)
	for _, w := range want {
		i := slices.IndexFunc(got, func(p point) bool { return p.attributes.Equals(&w.attributes) })
		if i < 0 {
			t.Errorf("%s has nothing for %s", name, w.attributes.Encoded(attribute.DefaultEncoder()))
			continue
		}
		if got[i].n != w.n {
			t.Errorf("%s is %d, want %d, for %s", name, got[i].n, w.n, w.attributes.Encoded(attribute.DefaultEncoder()))
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, p := range got {
		t.Errorf("%s is %d for %s, want nothing", name, p.n, p.attributes.Encoded(attribute.DefaultEncoder()))
	}
}

// ofMetrics are the attributes that the conventions have for metrics of messages.
var ofMetrics = attribute.NewAllowKeysFilter(
	"messaging.system", "messaging.operation.name", "messaging.operation.type", "messaging.destination.template",
	"server.address", "server.port", "error.type")

// assertTells asserts that the metrics tell what the given spans of publishers tell:
// each that sends took its time once, and has sent one message or a batch of them. What
// was only created does not count. Of a batch, all messages have succeeded, or none.
func (m *metering) assertTells(t *testing.T, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	var sent, took []point
	add := func(points *[]point, n int64, attributes attribute.Set) {
		for i := range *points {
			if p := &(*points)[i]; p.attributes.Equals(&attributes) {
				p.n += n
				return
			}
		}
		*points = append(*points, point{n: n, attributes: attributes})
	}
	for _, s := range spans {
		if operation, _ := attributeOf(s, "messaging.operation.type"); operation.AsString() != "send" {
			continue
		}
		n := int64(1)
		if batch, ok := attributeOf(s, "messaging.batch.message_count"); ok {
			n = batch.AsInt64()
		}
		attributes, _ := attribute.NewSetWithFiltered(s.Attributes(), ofMetrics)
		add(&sent, n, attributes)
		add(&took, 1, attributes)
	}
	m.assertPoints(t, sentMessages, sent...)
	m.assertPoints(t, operationDuration, took...)
	m.assertOnly(t, sentMessages, operationDuration)
}

// assertOnly asserts that nothing was recorded but to the given instruments.
func (m *metering) assertOnly(t *testing.T, names ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(m.metrics(t)))
	if slices.Sort(names); !slices.Equal(got, names) {
		t.Errorf("recorded was to %v, want %v", got, names)
	}
}

// seriesOf is a point of n with the attributes that every series about messages
// has.
func seriesOf(n int64, rdb *redis.Client, operation string, extra ...attribute.KeyValue) point {
	attributes := slices.DeleteFunc(served(rdb, operation, "", extra...), func(kv attribute.KeyValue) bool {
		return kv.Key == "messaging.destination.name" // never in a metric
	})
	return point{attributes: attribute.NewSet(attributes...), n: n}
}

// feedSeries is a point of n with the attributes that every series about
// subscriptions has.
func feedSeries(n int64, rdb *redis.Client, extra ...attribute.KeyValue) point {
	attributes := slices.DeleteFunc(served(rdb, "", "", extra...), func(kv attribute.KeyValue) bool {
		return kv.Key != "messaging.system" && kv.Key != "server.address" && kv.Key != "server.port" && kv.Key != "error.type"
	})
	return point{attributes: attribute.NewSet(attributes...), n: n}
}

func errorType(value string) attribute.KeyValue { return attribute.String("error.type", value) }

// eventually polls for what nothing tells of: a counter that has gone up.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(2*patience)
	defer tick.Stop()
	for !check() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %v: %s", 2*patience, what)
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Point is one time series of an instrument.
type Point struct {
	Attributes attribute.Set
	N          int64   // of a counter its sum, of a histogram the number of durations
	Seconds    float64 // of a histogram the sum of its durations
	Exemplars  []metricdata.Exemplar[float64]
}

// Points returns the series of an instrument.
func (m *Metrics) Points(t *testing.T, name string) (points []Point) {
	t.Helper()
	switch data := m.ByName(t)[name].Data.(type) {
	case nil:
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			var traces []metricdata.Exemplar[float64]
			for _, e := range p.Exemplars {
				traces = append(traces, metricdata.Exemplar[float64]{TraceID: e.TraceID, SpanID: e.SpanID})
			}
			points = append(points, Point{p.Attributes, p.Value, 0, traces})
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			points = append(points, Point{p.Attributes, int64(p.Count), p.Sum, p.Exemplars})
		}
	default:
		t.Fatalf("%s is a %T", name, data)
	}
	return points
}

// Total returns the sum of N over all series of an instrument.
func (m *Metrics) Total(t *testing.T, name string) (n int64) {
	t.Helper()
	for _, p := range m.Points(t, name) {
		n += p.N
	}
	return n
}

// AssertPoints asserts that an instrument has the given series, and no others. It
// compares attributes and N.
func (m *Metrics) AssertPoints(t *testing.T, name string, want ...Point) {
	t.Helper()
	got := m.Points(t, name)
	for _, w := range want {
		i := slices.IndexFunc(got, func(p Point) bool { return p.Attributes.Equals(&w.Attributes) })
		if i < 0 {
			t.Errorf("%s has nothing for %s", name, w.Attributes.Encoded(attribute.DefaultEncoder()))
			continue
		}
		if got[i].N != w.N {
			t.Errorf("%s is %d, want %d, for %s", name, got[i].N, w.N, w.Attributes.Encoded(attribute.DefaultEncoder()))
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, p := range got {
		t.Errorf("%s is %d for %s, want nothing", name, p.N, p.Attributes.Encoded(attribute.DefaultEncoder()))
	}
}

// MessagePoint returns a series of an instrument about messages: what MessagingOn has,
// except for the channel, which is never in a metric.
func MessagePoint(n int64, rdb *redis.Client, operation string, extra ...attribute.KeyValue) Point {
	attributes := slices.DeleteFunc(MessagingOn(rdb, operation, "", extra...), func(kv attribute.KeyValue) bool {
		return kv.Key == "messaging.destination.name"
	})
	return Point{Attributes: attribute.NewSet(attributes...), N: n}
}

// SubscriptionPoint returns a series of an instrument about subscriptions: the system,
// the address of the server, and extra.
func SubscriptionPoint(n int64, rdb *redis.Client, extra ...attribute.KeyValue) Point {
	attributes := slices.DeleteFunc(MessagingOn(rdb, "", "", extra...), func(kv attribute.KeyValue) bool {
		return kv.Key != "messaging.system" && kv.Key != "server.address" && kv.Key != "server.port" && kv.Key != "error.type"
	})
	return Point{Attributes: attribute.NewSet(attributes...), N: n}
}

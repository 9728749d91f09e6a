// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// The names of the instruments.
const (
	OperationDuration  = "messaging.client.operation.duration"
	SentMessages       = "messaging.client.sent.messages"
	ConsumedMessages   = "messaging.client.consumed.messages"
	ProcessDuration    = "messaging.process.duration"
	Reconnects         = "tracedpubsub.subscription.reconnects"
	SubscriptionErrors = "tracedpubsub.subscription.errors"
	DeliveryDelay      = "tracedpubsub.delivery.delay"
	DeliveryLost       = "tracedpubsub.delivery.lost"
	DeliveryDuplicates = "tracedpubsub.delivery.duplicates"
)

// Metrics is a meter provider that keeps what is recorded, as an exporter gets it.
type Metrics struct {
	*sdkmetric.MeterProvider

	reader *sdkmetric.ManualReader
}

// NewMetrics returns a meter provider; opts may add views and limits.
func NewMetrics(t *testing.T, opts ...sdkmetric.Option) *Metrics {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	m := &Metrics{sdkmetric.NewMeterProvider(append(slices.Clip(opts), sdkmetric.WithReader(reader))...), reader}
	t.Cleanup(func() { _ = m.MeterProvider.Shutdown(context.Background()) })
	return m
}

// Option returns the option that makes m the meter provider.
func (m *Metrics) Option() tracedpubsub.Option {
	return tracedpubsub.WithMeterProvider(m.MeterProvider)
}

// Scopes returns what has been recorded so far.
func (m *Metrics) Scopes(t *testing.T) []metricdata.ScopeMetrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &all); err != nil {
		t.Fatalf("collect the metrics: %v", err)
	}
	return all.ScopeMetrics
}

// ByName returns what has been recorded so far, by the name of the instrument.
func (m *Metrics) ByName(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	found := make(map[string]metricdata.Metrics)
	for _, scope := range m.Scopes(t) {
		for _, metric := range scope.Metrics {
			if _, twice := found[metric.Name]; twice {
				t.Errorf("%s is there twice", metric.Name)
			}
			found[metric.Name] = metric
		}
	}
	return found
}

// ofMetrics are the attributes that the conventions have for metrics of messages.
var ofMetrics = attribute.NewAllowKeysFilter(
	"messaging.system", "messaging.operation.name", "messaging.operation.type", "messaging.destination.template",
	"server.address", "server.port", "error.type")

// AssertMatch asserts that the metrics agree with the given spans of publishers. Each
// span that sends has recorded one duration, and has counted one message or those of its
// batch, with the outcome of the span. A span that only creates a message has recorded
// nothing.
func (m *Metrics) AssertMatch(t *testing.T, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	var sent, took []Point
	add := func(points *[]Point, n int64, attributes attribute.Set) {
		for i := range *points {
			if p := &(*points)[i]; p.Attributes.Equals(&attributes) {
				p.N += n
				return
			}
		}
		*points = append(*points, Point{N: n, Attributes: attributes})
	}
	for _, s := range spans {
		if operation, _ := AttributeOf(s, "messaging.operation.type"); operation.AsString() != "send" {
			continue
		}
		n := int64(1)
		if batch, ok := AttributeOf(s, "messaging.batch.message_count"); ok {
			n = batch.AsInt64()
		}
		attributes, _ := attribute.NewSetWithFiltered(s.Attributes(), ofMetrics)
		add(&sent, n, attributes)
		add(&took, 1, attributes)
	}
	m.AssertPoints(t, SentMessages, sent...)
	m.AssertPoints(t, OperationDuration, took...)
	m.AssertOnly(t, SentMessages, OperationDuration)
}

// AssertOnly asserts that the given instruments have recorded something, and no others.
func (m *Metrics) AssertOnly(t *testing.T, names ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(m.ByName(t)))
	if slices.Sort(names); !slices.Equal(got, names) {
		t.Errorf("the instruments that recorded are %v, want %v", got, names)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"errors"
	"testing"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// unlike is a provider whose type cannot be compared.
type unlike struct {
	tracenoop.TracerProvider
	_ []int
}

func TestIdentical(t *testing.T) {
	one, other := sdktrace.NewTracerProvider(), sdktrace.NewTracerProvider()
	for _, row := range []struct {
		name, reason string
		a, b         trace.TracerProvider
		want         bool
	}{
		{"pointer", "most providers are pointers", one, one, true},
		{"other pointer", "another provider of the same type", one, other, false},
		{"struct", "the providers that do nothing are", tracenoop.NewTracerProvider(), tracenoop.NewTracerProvider(), true},
		{"other type", "they have nothing in common", one, tracenoop.NewTracerProvider(), false},
		{"type that cannot be compared", "it may be another provider", unlike{}, unlike{}, false},
	} {
		if got := identical(row.a, row.b); got != row.want {
			t.Errorf("%s: %v, want %v: %s", row.name, got, row.want, row.reason)
		}
	}
}

// A provider that is given is not compared with itself.
func TestGivenProvidersAreAskedOnce(t *testing.T) {
	mp := &countingMeters{}
	r := &Telemetry{TracerProvider: unlike{}, MeterProvider: mp}
	for range 3 {
		_, span := r.Start(t.Context(), &SpanStart{Operation: Publish})
		span.End()
	}
	if mp.asked != 1 {
		t.Errorf("the meter provider was asked %d times, want once", mp.asked)
	}
}

// countingMeters is a provider that counts how often it is asked for a meter.
type countingMeters struct {
	metricnoop.MeterProvider

	asked int
}

func (c *countingMeters) Meter(string, ...metric.MeterOption) metric.Meter {
	c.asked++
	return metricnoop.Meter{}
}

// brokenMeters is a provider that makes no counters.
type brokenMeters struct{ metricnoop.MeterProvider }

type brokenMeter struct{ metricnoop.Meter }

var errMeter = errors.New("no counters today")

func (brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

func (brokenMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errMeter
}

func TestInstrumentsThatCannotBeMade(t *testing.T) {
	handled := make(chan error, 10)
	r := &Telemetry{MeterProvider: brokenMeters{}, HandleError: func(err error) { handled <- err }}
	for range 3 {
		_, span := r.Start(t.Context(), &SpanStart{Operation: Process})
		span.Consumed()
		span.End()
		r.CountReconnect(t.Context(), nil)
		r.CountSubscriptionError(t.Context(), nil, errMeter)
	}
	if err := <-handled; !errors.Is(err, errMeter) {
		t.Errorf("the error is %v, want %v", err, errMeter)
	}
	if n := len(handled); n > 0 {
		t.Errorf("the error is handled %d times more, want once", n)
	}
}

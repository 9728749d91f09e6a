// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// SetGlobalTracer sets the global tracer provider until the test ends, and a no-op
// provider then. The provider that was there at first cannot be set again: it delegates
// to the first one that is set, for as long as the process lives.
func SetGlobalTracer(t *testing.T, tp trace.TracerProvider) {
	t.Helper()
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	otel.SetTracerProvider(tp)
}

// SetGlobalMeter sets the global meter provider as SetGlobalTracer sets the global
// tracer provider.
func SetGlobalMeter(t *testing.T, mp metric.MeterProvider) {
	t.Helper()
	t.Cleanup(func() { otel.SetMeterProvider(metricnoop.NewMeterProvider()) })
	otel.SetMeterProvider(mp)
}

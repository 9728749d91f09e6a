// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Without the library, one string that is not valid UTF-8 costs all spans of its batch, and
// all metrics of every export from then on. Should an exporter accept such strings one day,
// this test says so.
func TestExportersRefuseInvalidUTF8(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol.name, func(t *testing.T) {
			ctx, e := tracetest.Context(t), export(t, protocol)
			if spans, metrics := e.flush(ctx); spans != nil || metrics != nil {
				t.Fatalf("valid strings are refused: %v, %v", spans, metrics)
			}
			for range 2 {
				_, span := e.tracers.Tracer("another").Start(ctx, "process user.\xff")
				span.End()
				e.another.Add(ctx, 1, metric.WithAttributes(attribute.String("template", "user.\xff")))
				if spans, metrics := e.flush(ctx); spans == nil || metrics == nil {
					t.Fatalf("invalid strings are exported: %v, %v", spans, metrics)
				}
			}
			if spans, metrics := e.spanNames(), e.metricNames(); len(spans) != 1 || len(metrics) != 1 {
				t.Errorf("the collector got %q and %q, want only what was exported first", spans, metrics)
			}
		})
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"os"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// spans has the spans of this process that have ended.
var spans = tracetest.NewInMemoryExporter()

func TestMain(m *testing.M) {
	// A span that is not sampled does not know its parent.
	always := sdktrace.WithSampler(sdktrace.AlwaysSample())
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), always))
	os.Exit(redistest.Main(m))
}

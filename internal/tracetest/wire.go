// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// ProducerOnTheWire returns the span context that m carries in W3C Trace Context.
func ProducerOnTheWire(t *testing.T, m *redis.Message) trace.SpanContext {
	t.Helper()
	e, err := tracedpubsub.Decode(m.Payload, tracedpubsub.WithPropagators(propagation.TraceContext{}))
	if err != nil {
		t.Fatalf("decode %s: %v", m.Payload, err)
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), &e.Carrier))
}

// AssertCarries asserts that m is one envelope around payload, and that it carries the
// context of span.
func AssertCarries(t *testing.T, m *redis.Message, payload string, span sdktrace.ReadOnlySpan) {
	t.Helper()
	e, err := tracedpubsub.Decode(m.Payload)
	if e.Payload != payload || err != nil {
		t.Errorf("%q is an envelope around %q, %v, want %q", m.Payload, e.Payload, err, payload)
	}
	if again, _ := tracedpubsub.Decode(e.Payload); again.Payload != e.Payload {
		t.Errorf("the payload was wrapped twice: %q", m.Payload)
	}
	if sent := ProducerOnTheWire(t, m); sent.SpanID() != span.SpanContext().SpanID() || sent.TraceID() != span.SpanContext().TraceID() {
		t.Errorf("on the wire is the span %v, want %v of %q", sent.SpanID(), span.SpanContext().SpanID(), span.Name())
	}
}

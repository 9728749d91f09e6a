// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// missing returns the spans that are missing in the trace of an order. It should have the
// order, its request in the API, the publish, and the processing of the message by each
// worker, each below the one before.
func missing(spans []sdktrace.ReadOnlySpan, publish string) []string {
	c := check{spans: spans}
	order := c.find("order a report", clientService, trace.SpanKindInternal, nil)
	request := c.find("POST /reports", apiService, trace.SpanKindServer, order)
	published := c.find(publish+" "+reportsChannel, apiService, trace.SpanKindProducer, request)
	for _, part := range partNames {
		c.find("process "+reportsChannel, workerService(part), trace.SpanKindConsumer, published)
	}
	return c.missing
}

type check struct {
	spans   []sdktrace.ReadOnlySpan
	missing []string
}

// find returns the span with the given description, at or below another span, or anywhere if
// above is nil because that span is missing itself.
func (c *check) find(name, service string, kind trace.SpanKind, above sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
	for _, s := range c.spans {
		if s.Name() == name && serviceOf(s) == service && s.SpanKind() == kind && c.isBelow(s, above) {
			return s
		}
	}
	c.missing = append(c.missing, fmt.Sprintf("%q (%s)", name, service))
	return nil
}

func (c *check) isBelow(s, above sdktrace.ReadOnlySpan) bool {
	if above == nil || s.Parent().SpanID() == above.SpanContext().SpanID() {
		return true
	}
	for _, parent := range c.spans {
		if s.Parent().SpanID() == parent.SpanContext().SpanID() {
			return c.isBelow(parent, above)
		}
	}
	return false
}

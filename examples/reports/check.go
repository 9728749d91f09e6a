// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// missing names the spans that the trace of an order should have and has not:
// the order, its request as the API serves it, the publish, and the processing
// of that message by each worker, each below the one before.
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

// find returns the span that is described so, at or somewhere below another one.
// Where that one is missing itself, it is not asked for a second time.
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

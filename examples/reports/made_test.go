// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// made is a span made by hand. The times are microseconds, beginning with the
// trace.
type made struct {
	id, parent byte // parent 0: none
	name       string
	service    string
	kind       trace.SpanKind
	from, to   int
	failure    string
}

var midnight = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func madeTrace(spans ...made) *collected {
	t := &collected{id: trace.TraceID{0xab, 15: 1}}
	context := func(id byte) trace.SpanContext {
		if id == 0 {
			return trace.SpanContext{}
		}
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: t.id, SpanID: trace.SpanID{7: id}})
	}
	for _, m := range spans {
		stub := tracetest.SpanStub{
			Name: m.name, SpanKind: m.kind, SpanContext: context(m.id), Parent: context(m.parent),
			StartTime: midnight.Add(time.Duration(m.from) * time.Microsecond),
			EndTime:   midnight.Add(time.Duration(m.to) * time.Microsecond),
			Resource:  resource.NewSchemaless(semconv.ServiceName(m.service)),
		}
		if m.kind == consumer {
			stub.Attributes = []attribute.KeyValue{attribute.String("messaging.system", "redis")}
		}
		if m.failure != "" {
			stub.Status = sdktrace.Status{Code: codes.Error, Description: m.failure}
		}
		t.spans = append(t.spans, stub.Snapshot())
	}
	return t
}

const (
	internal = trace.SpanKindInternal
	server   = trace.SpanKindServer
	producer = trace.SpanKindProducer
	consumer = trace.SpanKindConsumer
)

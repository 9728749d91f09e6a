// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// All strings of callers become names, attributes and status descriptions in this file. Here
// they become valid UTF-8, too; see utf8.go. The address of a Server is valid already.

// The conventions do not list Redis, but allow other values.
var messagingSystem = semconv.MessagingSystemKey.String("redis")

const (
	receiversKey = attribute.Key("tracedpubsub.receivers")
	envelopeKey  = attribute.Key("tracedpubsub.envelope")
	skippedKey   = attribute.Key("tracedpubsub.delivery.skipped")
)

// spanName returns the name of a span: "{operation} {template or destination}".
func spanName(s *SpanStart) string {
	switch {
	case s.Template != "":
		return s.Operation.name + " " + valid(s.Template)
	case s.Destination != "":
		return s.Operation.name + " " + valid(s.Destination)
	}
	return s.Operation.name
}

// maxAttributes is the largest number of attributes that appendSpanAttributes and
// appendSeriesAttributes append.
const maxAttributes = 10

// appendSpanAttributes appends the attributes with which a span starts.
func appendSpanAttributes(a []attribute.KeyValue, s *SpanStart) []attribute.KeyValue {
	a = append(a, messagingSystem, s.Operation.nameAttribute, s.Operation.typeAttribute)
	if s.Destination != "" {
		a = append(a, semconv.MessagingDestinationName(valid(s.Destination)))
	}
	if s.Template != "" {
		a = append(a, semconv.MessagingDestinationTemplate(valid(s.Template)))
	}
	a = s.Server.appendAttributes(a)
	if s.Envelope != "" {
		a = append(a, envelopeKey.String(s.Envelope))
	}
	if s.Skipped > 0 {
		a = append(a, skippedKey.Int64(s.Skipped))
	}
	if s.Messages > 0 {
		a = append(a, semconv.MessagingBatchMessageCount(s.Messages))
	}
	return a
}

// appendSeriesAttributes appends the attributes of a time series. They do not contain the
// destination, because there may be any number of destinations.
func appendSeriesAttributes(a []attribute.KeyValue, template string, s *series) []attribute.KeyValue {
	a = append(a, messagingSystem)
	if s.operation != nil {
		a = append(a, s.operation.nameAttribute, s.operation.typeAttribute)
	}
	if template != "" {
		a = append(a, semconv.MessagingDestinationTemplate(valid(template)))
	}
	a = s.server.appendAttributes(a)
	if s.errorType != "" {
		a = append(a, semconv.ErrorTypeKey.String(valid(s.errorType)))
	}
	return a
}

func (s *Server) appendAttributes(a []attribute.KeyValue) []attribute.KeyValue {
	if s == nil {
		return a
	}
	a = append(a, semconv.ServerAddress(s.address))
	if s.hasPort {
		a = append(a, semconv.ServerPort(s.port))
	}
	return a
}

// setError sets the status and error.type of a span. It does not record the error as an
// event, since the conventions prefer these two.
func setError(span trace.Span, errorType, description string) {
	span.SetStatus(codes.Error, valid(description))
	span.SetAttributes(semconv.ErrorTypeKey.String(valid(errorType)))
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Operation is a messaging operation. Its name is messaging.operation.name in spans and
// metrics, and the name of a span begins with it.
type Operation struct {
	name          string
	nameAttribute attribute.KeyValue
	typeAttribute attribute.KeyValue
	kind          trace.SpanStartOption

	errorType func(error) string
	panicked  string // the status description if the operation panics
}

var (
	// Publish sends one message.
	Publish = newProducer("publish", semconv.MessagingOperationTypeSend, trace.SpanKindProducer)
	// SPublish sends one message to a sharded channel.
	SPublish = newProducer("spublish", semconv.MessagingOperationTypeSend, trace.SpanKindProducer)

	// Create creates a message that is sent later, perhaps in a batch. It has no metrics,
	// because nothing is sent yet.
	Create = newProducer("create", semconv.MessagingOperationTypeCreate, trace.SpanKindProducer)

	// Send sends a batch of messages that have Create spans of their own.
	Send = newProducer("send", semconv.MessagingOperationTypeSend, trace.SpanKindClient)
	// SendAndCreate sends a batch of messages that carry the context of its span.
	SendAndCreate = newProducer("send", semconv.MessagingOperationTypeSend, trace.SpanKindProducer)

	// Process processes one message that a consumer has received.
	Process = &Operation{
		name:          "process",
		nameAttribute: semconv.MessagingOperationName("process"),
		typeAttribute: semconv.MessagingOperationTypeProcess,
		kind:          trace.WithSpanKind(trace.SpanKindConsumer),
		errorType:     handlerErrorType,
		panicked:      "panic while processing",
	}
)

func newProducer(name string, operationType attribute.KeyValue, kind trace.SpanKind) *Operation {
	return &Operation{
		name:          name,
		nameAttribute: semconv.MessagingOperationName(name),
		typeAttribute: operationType,
		kind:          trace.WithSpanKind(kind),
		errorType:     clientErrorType,
		panicked:      "panic while publishing",
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// AttributeOf returns the attribute of s with the given key, if s has it.
func AttributeOf(s sdktrace.ReadOnlySpan, key attribute.Key) (attribute.Value, bool) {
	set := attribute.NewSet(s.Attributes()...)
	return set.Value(key)
}

// Messaging returns the attributes of every span, and extra behind them. The
// operation is publish, spublish, create, send or process.
func Messaging(operation, channel string, extra ...attribute.KeyValue) []attribute.KeyValue {
	operationType := operation
	if operation == "publish" || operation == "spublish" {
		operationType = "send"
	}
	return append([]attribute.KeyValue{
		attribute.String("messaging.system", "redis"),
		attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.operation.type", operationType),
		attribute.String("messaging.destination.name", channel),
	}, extra...)
}

// MessagingOn is Messaging with the address of the server of rdb.
func MessagingOn(rdb *redis.Client, operation, channel string, extra ...attribute.KeyValue) []attribute.KeyValue {
	host, port, _ := net.SplitHostPort(rdb.Options().Addr)
	n, _ := strconv.Atoi(port)
	return Messaging(operation, channel, append([]attribute.KeyValue{
		attribute.String("server.address", host),
		attribute.Int("server.port", n),
	}, extra...)...)
}

// Receivers is the attribute of a reply: n clients received the message.
func Receivers(n int) attribute.KeyValue { return attribute.Int("tracedpubsub.receivers", n) }

// Template is the attribute of a low-cardinality name for a destination.
func Template(name string) attribute.KeyValue {
	return attribute.String("messaging.destination.template", name)
}

// BatchSize is the attribute of a batch of n messages.
func BatchSize(n int) attribute.KeyValue { return attribute.Int("messaging.batch.message_count", n) }

// ErrorType is the attribute of a failure.
func ErrorType(value string) attribute.KeyValue { return attribute.String("error.type", value) }

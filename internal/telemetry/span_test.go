// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"maps"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	operationDuration = "messaging.client.operation.duration"
	sentMessages      = "messaging.client.sent.messages"
	processDuration   = "messaging.process.duration"
	consumedMessages  = "messaging.client.consumed.messages"
)

func TestSpanStarts(t *testing.T) {
	system := attribute.String("messaging.system", "redis")
	operation := func(name, operationType string) []attribute.KeyValue {
		return []attribute.KeyValue{
			system, attribute.String("messaging.operation.name", name), attribute.String("messaging.operation.type", operationType),
		}
	}
	for _, row := range []struct {
		name, reason string
		start        SpanStart
		spanName     string
		kind         trace.SpanKind
		want         []attribute.KeyValue
	}{{
		name: "publish", reason: "the destination is in the name",
		start:    SpanStart{Operation: Publish, Destination: "reports"},
		spanName: "publish reports", kind: trace.SpanKindProducer,
		want: append(operation("publish", "send"), attribute.String("messaging.destination.name", "reports")),
	}, {
		name: "spublish", reason: "the template takes the place of the destination",
		start:    SpanStart{Operation: SPublish, Destination: "user.7", Template: "user.{id}"},
		spanName: "spublish user.{id}", kind: trace.SpanKindProducer,
		want: append(operation("spublish", "send"),
			attribute.String("messaging.destination.name", "user.7"), attribute.String("messaging.destination.template", "user.{id}")),
	}, {
		name: "create", reason: "with a server",
		start:    SpanStart{Operation: Create, Destination: "reports", Server: NewServer("tcp", "localhost:6379")},
		spanName: "create reports", kind: trace.SpanKindProducer,
		want: append(operation("create", "create"), attribute.String("messaging.destination.name", "reports"),
			attribute.String("server.address", "localhost"), attribute.Int("server.port", 6379)),
	}, {
		name: "send", reason: "a batch for several destinations has the name of the operation alone",
		start:    SpanStart{Operation: Send, Messages: 3},
		spanName: "send", kind: trace.SpanKindClient,
		want: append(operation("send", "send"), attribute.Int("messaging.batch.message_count", 3)),
	}, {
		name: "send and create", reason: "it is the producer of its messages; a batch of one message is still a batch",
		start:    SpanStart{Operation: SendAndCreate, Destination: "reports", Messages: 1},
		spanName: "send reports", kind: trace.SpanKindProducer,
		want: append(operation("send", "send"),
			attribute.String("messaging.destination.name", "reports"), attribute.Int("messaging.batch.message_count", 1)),
	}, {
		name: "process", reason: "with every attribute that a single message can have",
		start: SpanStart{Operation: Process, Destination: "user.7", Template: "user.*",
			Server: NewServer("unix", "/tmp/redis.sock"), Envelope: "malformed"},
		spanName: "process user.*", kind: trace.SpanKindConsumer,
		want: append(operation("process", "process"),
			attribute.String("messaging.destination.name", "user.7"), attribute.String("messaging.destination.template", "user.*"),
			attribute.String("server.address", "/tmp/redis.sock"), attribute.String("tracedpubsub.envelope", "malformed")),
	}} {
		t.Run(row.name, func(t *testing.T) {
			r := record(t)
			r.Attributes = []attribute.KeyValue{attribute.String("deployment", "blue"), attribute.String("messaging.system", "mine")}
			ctx, span := r.Start(t.Context(), &row.start)
			if got := trace.SpanFromContext(ctx); got != span.Unwrap() {
				t.Error("the context does not hold the span")
			}
			span.Returned(nil)
			span.End()
			got := r.span(t)
			if got.Name() != row.spanName || got.SpanKind() != row.kind {
				t.Errorf("%v span %q, want %v span %q: %s", got.SpanKind(), got.Name(), row.kind, row.spanName, row.reason)
			}
			assertAttributes(t, got.Attributes(), append(row.want, attribute.String("deployment", "blue"))...)
			if scope := got.InstrumentationScope(); scope.Name != "scope" || scope.Version != "1.2.3" {
				t.Errorf("the scope is %+v", scope)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	failed := errors.New("no such report")
	for _, row := range []struct {
		name, reason string
		operation    *Operation
		run          func(*Span)
		errorType    string // "": success
		status       string
	}{
		{"success", "there is nothing to say", Publish, func(s *Span) { s.Returned(nil) }, "", ""},
		{"failure", "of a producer", Publish, func(s *Span) { s.Returned(context.Canceled) }, "canceled", "context canceled"},
		{"failure of a handler", "which is never the client's", Process, func(s *Span) { s.Returned(failed) }, "*errors.errorString", "no such report"},
		{"panic", "with what was recovered", Process, func(s *Span) { s.Panicked("out of reports") }, "panic", "out of reports"},
		{"no outcome of a producer", "End was deferred, and nothing else was called", Publish, func(*Span) {}, "panic", "panic while publishing"},
		{"no outcome of a consumer", "likewise", Process, func(*Span) {}, "panic", "panic while processing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := record(t)
			_, span := r.Start(t.Context(), &SpanStart{Operation: row.operation})
			row.run(&span)
			span.End()
			got := r.span(t)
			want := sdktrace.Status{}
			if row.errorType != "" {
				want = sdktrace.Status{Code: codes.Error, Description: row.status}
			}
			if got.Status() != want {
				t.Errorf("the status is %+v, want %+v: %s", got.Status(), want, row.reason)
			}
			if set := attribute.NewSet(got.Attributes()...); row.errorType != valueOf(set, "error.type") {
				t.Errorf("error.type is %q, want %q: %s", valueOf(set, "error.type"), row.errorType, row.reason)
			}
			if len(got.Events()) > 0 {
				t.Errorf("the span has events: %v", got.Events())
			}
			duration := operationDuration
			if row.operation == Process {
				duration = processDuration
			}
			assertValues(t, r, duration, map[string]int64{row.errorType: 1})
		})
	}
}

func valueOf(set attribute.Set, key attribute.Key) string {
	value, _ := set.Value(key)
	return value.AsString()
}

// assertValues asserts what an instrument has recorded, by error.type.
func assertValues(t *testing.T, r recorded, instrument string, want map[string]int64) {
	t.Helper()
	if got := r.values(t, instrument, "error.type"); !maps.Equal(got, want) {
		t.Errorf("%s is %v, want %v", instrument, got, want)
	}
}

func TestMessageCounts(t *testing.T) {
	for _, row := range []struct {
		name, reason   string
		start          SpanStart
		run            func(*Span)
		sent, consumed map[string]int64 // by error.type
	}{
		{name: "message", reason: "it is counted when it is sent", start: SpanStart{Operation: Publish},
			run: func(s *Span) { s.Returned(nil) }, sent: map[string]int64{"": 1}},
		{name: "message that failed", reason: "an attempt counts, too", start: SpanStart{Operation: Publish},
			run: func(s *Span) { s.Returned(context.Canceled) }, sent: map[string]int64{"canceled": 1}},
		{name: "batch", reason: "of which all messages have one outcome", start: SpanStart{Operation: Send, Messages: 3},
			run: func(s *Span) { s.Returned(nil) }, sent: map[string]int64{"": 3}},
		{name: "batch with two outcomes", reason: "each message has its own", start: SpanStart{Operation: SendAndCreate, Messages: 3},
			run: func(s *Span) {
				for _, err := range []error{nil, context.Canceled, nil} {
					s.Sent(err)
				}
				s.Returned(context.Canceled)
			}, sent: map[string]int64{"": 2, "canceled": 1}},
		{name: "batch that panicked", reason: "nothing is known of the last two messages", start: SpanStart{Operation: Send, Messages: 3},
			run: func(s *Span) { s.Sent(nil) }, sent: map[string]int64{"": 1, "panic": 2}},
		{name: "creation", reason: "nothing has been sent", start: SpanStart{Operation: Create},
			run: func(s *Span) { s.Returned(nil) }},
		{name: "consumer", reason: "it counts a message when Consumed is called, and no message as sent", start: SpanStart{Operation: Process},
			run: func(s *Span) { s.Consumed() }, consumed: map[string]int64{"": 1}},
		{name: "consumer of a message that was counted", reason: "a message may be processed twice", start: SpanStart{Operation: Process},
			run: func(s *Span) { s.Returned(nil) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := record(t)
			_, span := r.Start(t.Context(), &row.start)
			row.run(&span)
			span.End()
			assertValues(t, r, sentMessages, row.sent)
			assertValues(t, r, consumedMessages, row.consumed)
			if took := r.values(t, operationDuration, "error.type"); len(took) > 0 && row.sent == nil {
				t.Errorf("%s is %v, want nothing: %s", operationDuration, took, row.reason)
			}
		})
	}
}

// A message that is not traced has the zero Span.
func TestZeroSpan(t *testing.T) {
	var s Span
	s.Consumed()
	s.Sent(context.Canceled)
	s.SetReceivers(1)
	s.Returned(context.Canceled)
	s.Panicked("no")
	s.End()
	if s.Unwrap() == nil || s.Unwrap().IsRecording() {
		t.Errorf("Unwrap returns %v, want a span that does nothing", s.Unwrap())
	}
}

func TestReceivers(t *testing.T) {
	r := record(t)
	_, span := r.Start(t.Context(), &SpanStart{Operation: Publish})
	span.SetReceivers(7)
	span.Returned(nil)
	span.End()
	set := attribute.NewSet(r.span(t).Attributes()...)
	if got, _ := set.Value("tracedpubsub.receivers"); got.AsInt64() != 7 {
		t.Errorf("tracedpubsub.receivers is %d, want 7", got.AsInt64())
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A message is received as it was published, with every kind of subscription and every way
// to receive. Its consumer span is a child of its producer span.
func TestRoundTrip(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, s := range tracetest.WaysToSubscribe {
			if s.NoMiniredis != "" && tracetest.OnMiniredis(t) {
				t.Run(s.Name, func(t *testing.T) { assertUnsupported(t, rdb, s) })
				continue
			}
			for _, c := range tracetest.WaysToReceive {
				t.Run(s.Name+"/"+c.Name, func(t *testing.T) {
					roundTrip(t, rdb, s, c, "reports."+s.Name+"."+c.Name+".7")
				})
			}
		}
	})
}

// assertUnsupported asserts that the server refuses to subscribe and to publish. If a
// later version supports them, the row has to be changed.
func assertUnsupported(t *testing.T, rdb *redis.Client, s tracetest.WayToSubscribe) {
	ctx, client := tracetest.Context(t), tracedpubsub.Wrap(rdb)
	sub := s.Subscribe(client, ctx, "reports")
	t.Cleanup(func() { _ = sub.Close() })
	if err := sub.Ready(ctx); err == nil || !strings.Contains(err.Error(), s.NoMiniredis) {
		t.Errorf("Ready of %s = %v, want %q (%s)", s.Name, err, s.NoMiniredis, s.Reason)
	}
	if err := s.Publish(client, ctx, "reports", "hello").Err(); err == nil || !strings.Contains(err.Error(), s.NoMiniredis) {
		t.Errorf("%s = %v, want %q (%s)", s.Operation, err, s.NoMiniredis, s.Reason)
	}
}

// roundTrip publishes a message, receives it, and asserts both spans.
func roundTrip(t *testing.T, rdb *redis.Client, s tracetest.WayToSubscribe, c tracetest.WayToReceive, channel string) {
	ctx := tracetest.Context(t)
	producers, consumers := tracetest.NewRecorder(t), tracetest.NewRecorder(t)
	var errs tracetest.ErrorLog
	from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers), errs.Option())
	to := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers), errs.Option())
	subscription := &tracetest.Source{Client: to}
	if c.FromRaw {
		subscription.Raw = tracetest.ReadyRaw(t, s.Raw(rdb, ctx, s.Topic(channel)))
	} else {
		subscription.Sub = tracetest.ReadySub(t, s.Subscribe(to, ctx, s.Topic(channel)))
	}

	publishing, callerSpan := tracetest.WithCaller(t, ctx)
	cmd := s.Publish(from, publishing, channel, "hello")
	tracetest.AssertSent(t, cmd)
	if cmd.Name() != s.Operation {
		t.Errorf("the command is %q, want %q", cmd.Name(), s.Operation)
	}
	producer := producers.Spans(t, 1)[0]
	tracetest.AssertName(t, producer, s.Operation+" "+channel)
	tracetest.AssertKind(t, producer, trace.SpanKindProducer)
	tracetest.AssertChildOf(t, producer, callerSpan)
	tracetest.AssertLinks(t, producer)
	tracetest.AssertAttributes(t, producer, tracetest.MessagingOn(rdb, s.Operation, channel, tracetest.Receivers(1))...)
	tracetest.AssertSucceeded(t, producer)
	assertScope(t, producer)

	handled := 0
	var inside trace.SpanContext
	c.Receive(t, ctx, subscription, func(ctx context.Context, m *tracedpubsub.Message) {
		handled++
		inside = trace.SpanContextFromContext(ctx)
		tracetest.AssertMessage(t, m, s, channel)
		if n := len(consumers.Ended()); n != 0 {
			t.Errorf("%d consumer spans have ended while the message was handled", n)
		}
	})
	if handled != 1 {
		t.Fatalf("%d messages were handled, want 1", handled)
	}
	consumer := consumers.Spans(t, 1)[0]
	destination, extra := channel, []attribute.KeyValue(nil)
	if s.Patterns {
		destination = s.Topic(channel)
		extra = append(extra, tracetest.Template(destination))
	}
	tracetest.AssertName(t, consumer, "process "+destination)
	tracetest.AssertKind(t, consumer, trace.SpanKindConsumer)
	tracetest.AssertParent(t, consumer, producer)
	if !consumer.Parent().IsRemote() {
		t.Error("the parent of the consumer span is not remote")
	}
	tracetest.AssertLinks(t, consumer)
	tracetest.AssertAttributes(t, consumer, tracetest.MessagingOn(rdb, "process", channel, extra...)...)
	tracetest.AssertSucceeded(t, consumer)
	assertScope(t, consumer)
	if !inside.Equal(consumer.SpanContext()) {
		t.Errorf("the context of the handler holds the span %v, want %v", inside.SpanID(), consumer.SpanContext().SpanID())
	}
	errs.AssertNone(t)
}

// assertScope asserts the instrumentation scope of a span.
func assertScope(t *testing.T, s sdktrace.ReadOnlySpan) {
	t.Helper()
	const name = "github.com/tracedpubsub/tracedpubsub"
	scope := s.InstrumentationScope()
	if scope.Name != name || tracedpubsub.ScopeName != name {
		t.Errorf("instrumentation scope of %q is %q (ScopeName is %q), want %q", s.Name(), scope.Name, tracedpubsub.ScopeName, name)
	}
	if scope.Version != tracedpubsub.Version || scope.Version == "" {
		t.Errorf("version of the scope of %q is %q, want %q", s.Name(), scope.Version, tracedpubsub.Version)
	}
	if !strings.HasSuffix(scope.SchemaURL, "/1.43.0") {
		t.Errorf("schema of the scope of %q is %q, want that of the conventions v1.43.0", s.Name(), scope.SchemaURL)
	}
}

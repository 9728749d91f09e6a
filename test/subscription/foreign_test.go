// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// truncated returns every beginning of an envelope. Those that are long enough to be
// recognized are malformed, the others are text.
func truncated() []tracetest.ForeignMessage {
	var rows []tracetest.ForeignMessage
	for n := 1; n < len(tracetest.ForeignEnvelope); n++ {
		row := tracetest.ForeignMessage{Name: fmt.Sprintf("first %d bytes", n), Reason: "cut off on the way", Message: tracetest.ForeignEnvelope[:n]}
		if n >= len(`{"tracedpubsub":`) {
			row.Err, row.Envelope = tracedpubsub.ErrMalformedEnvelope, "malformed"
		}
		rows = append(rows, row)
	}
	return rows
}

// No message of a publisher that does not use the library is lost, changed, refused or out
// of order.
func TestForeignMessages(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		rows := slices.Concat(tracetest.ForeignMessages, truncated())
		ctx, consumers := tracetest.Context(t), tracetest.NewRecorder(t)
		var errs tracetest.ErrorLog
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers), errs.Option())
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		published := make(chan error, 1)
		go func() {
			for _, row := range rows {
				if err := rdb.Publish(ctx, "reports", row.Message).Err(); err != nil {
					published <- fmt.Errorf("publish %s: %w", row.Name, err)
					return
				}
			}
			published <- nil
		}()
		var got []*tracedpubsub.Message
		for _, m := range sub.Messages(ctx) {
			if got = append(got, m); len(got) == len(rows) {
				break
			}
		}
		if err := <-published; err != nil || len(got) != len(rows) {
			t.Fatalf("%d of %d messages were received, %v", len(got), len(rows), err)
		}
		spans := consumers.Spans(t, len(rows))
		for i, row := range rows {
			t.Run(row.Name, func(t *testing.T) { assertForeign(t, rdb, row, got[i], spans[i]) })
		}
		errs.AssertNone(t)
	})
}

func assertForeign(t *testing.T, rdb *redis.Client, row tracetest.ForeignMessage, m *tracedpubsub.Message, span sdktrace.ReadOnlySpan) {
	want := row.Payload
	if want == "" {
		want = row.Message
	}
	if m.Payload != want {
		t.Errorf("got %.200q, want %.200q: %s", m.Payload, want, row.Reason)
	}
	if !errors.Is(m.Err, row.Err) {
		t.Errorf("Err is %v, want %v: %s", m.Err, row.Err, row.Reason)
	}
	var extra []attribute.KeyValue
	if row.Envelope != "" {
		extra = append(extra, attribute.String("tracedpubsub.envelope", row.Envelope))
	}
	tracetest.AssertAttributes(t, span, tracetest.MessagingOn(rdb, "process", "reports", extra...)...)
	tracetest.AssertSucceeded(t, span)
	tracetest.AssertLinks(t, span)
	if !row.Producer {
		tracetest.AssertRoot(t, span)
		if sc := trace.SpanContextFromContext(m.Extract(t.Context())); sc.IsValid() {
			t.Errorf("Extract gives the producer %v, want none: %s", sc.SpanID(), row.Reason)
		}
		return
	}
	parent := span.Parent()
	if got := fmt.Sprintf("00-%v-%v-%v", parent.TraceID(), parent.SpanID(), parent.TraceFlags()); got != tracetest.ForeignParent {
		t.Errorf("the parent is %s, want %s: %s", got, tracetest.ForeignParent, row.Reason)
	}
}

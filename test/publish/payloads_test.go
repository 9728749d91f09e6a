// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A payload that go-redis accepts arrives with the bytes that go-redis alone sends. The
// publisher and the consumer may use the library or not.
func TestPayloadTypes(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		var errs tracetest.ErrorLog
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), errs.Option())
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		for i, row := range tracetest.PayloadTypes {
			t.Run(row.Name, func(t *testing.T) {
				tracetest.AssertSent(t, rdb.Publish(ctx, "reports", row.Payload))
				want := tracetest.NextRaw(t, raw).Payload
				if m := tracetest.NextMessage(t, sub); m.Payload != want || m.Err != nil {
					t.Errorf("published by go-redis, received by the library: %.200q, %v, want %.200q: %s", m.Payload, m.Err, want, row.Reason)
				}

				tracetest.AssertSent(t, client.Publish(ctx, "reports", row.Payload))
				wire := tracetest.NextRaw(t, raw).Payload
				if !strings.HasPrefix(wire, `{"tracedpubsub":1,"traceparent":"`) {
					t.Errorf("published without an envelope: %.200q", wire)
				}
				if e, err := tracedpubsub.Decode(wire); e.Payload != want || err != nil {
					t.Errorf("published by the library, received by go-redis and decoded: %.200q, %v, want %.200q: %s", e.Payload, err, want, row.Reason)
				}
				if m := tracetest.NextMessage(t, sub); m.Payload != want || m.Err != nil {
					t.Errorf("published and received by the library: %.200q, %v, want %.200q: %s", m.Payload, m.Err, want, row.Reason)
				}
				span := rec.Spans(t, i+1)[i]
				tracetest.AssertSucceeded(t, span)
				tracetest.AssertAttributes(t, span, tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(2))...)
			})
		}
		errs.AssertNone(t)
	})
}

// A consumer gets what the publisher passed, also if that is an envelope: Publish makes an
// envelope around it.
func TestEnvelopeIsAPayload(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		for i, row := range tracetest.ForeignMessages {
			t.Run(row.Name, func(t *testing.T) {
				tracetest.AssertSent(t, client.Publish(ctx, "reports", row.Message))
				for _, m := range sub.Messages(ctx) {
					if m.Payload != row.Message || m.Err != nil {
						t.Errorf("got %.200q, %v, want %.200q", m.Payload, m.Err, row.Message)
					}
					break
				}
				spans := rec.Spans(t, 2*(i+1))
				tracetest.AssertParent(t, spans[2*i+1], spans[2*i])
				tracetest.AssertAttributes(t, spans[2*i+1], tracetest.MessagingOn(rdb, "process", "reports")...)
			})
		}
	})
}

// go-redis keeps the commands of a pipeline until Exec. None of them changes when the next
// message is written.
func TestQueuedPayloads(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Subscribe(ctx, rdb, "reports"))
		pipe := rdb.Pipeline()
		for _, row := range tracetest.ForeignMessages {
			tracedpubsub.Publish(ctx, pipe, "reports", row.Message)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		for _, row := range tracetest.ForeignMessages {
			if m := tracetest.NextMessage(t, sub); m.Payload != row.Message {
				t.Errorf("got %.200q, want %.200q", m.Payload, row.Message)
			}
		}
	})
}

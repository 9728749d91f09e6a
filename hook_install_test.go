// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestInstrumentRefuses(t *testing.T) {
	rdb := redistest.Start(t).Client()
	for _, row := range []struct {
		name, reason string
		client       redis.UniversalClient
		channels     func(string) bool
	}{
		{"no channels", "they are asked for", rdb, nil},
		{"a type of the user's own", "nobody knows where its commands go", struct{ redis.UniversalClient }{rdb}, tracetest.AllChannels},
		{"nothing", "it is no client", nil, tracetest.AllChannels},
		{"a client that is nil", "nor is this", (*redis.Client)(nil), tracetest.AllChannels},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := tracedpubsub.Instrument(row.client, row.channels)
			if err == nil || !strings.HasPrefix(err.Error(), "tracedpubsub: ") {
				t.Errorf("Instrument returned %v, want an error of this package: %s", err, row.reason)
			}
		})
	}
}

// NewHook is for AddHook; it does not know the server.
func TestNewHook(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		rdb.AddHook(tracedpubsub.NewHook(nil, tracedpubsub.WithTracerProvider(rec)))
		tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		rec.Spans(t, 0) // there are no channels

		rdb.AddHook(tracedpubsub.NewHook(tracetest.AllChannels, tracedpubsub.WithTracerProvider(rec)))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		span := rec.Spans(t, 1)[0]
		tracetest.AssertAttributes(t, span, tracetest.Messaging("publish", "reports")...)
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", span)
	})
}

// go-redis takes the hooks off the client that WithTimeout returns: that is a client to
// be instrumented like any other.
func TestInstrumentWithTimeout(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		tracetest.Instrument(t, rdb, rec)
		patient := rdb.WithTimeout(tracetest.Patience)
		tracetest.AssertSent(t, patient.Publish(ctx, "reports", "hello"))
		rec.Spans(t, 0)
		tracetest.Instrument(t, patient, rec)
		tracetest.AssertSent(t, patient.Publish(ctx, "reports", "hello"))
		tracetest.AssertAttributes(t, rec.Spans(t, 1)[0], tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(0))...)
		tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		rec.Spans(t, 2)
	})
}

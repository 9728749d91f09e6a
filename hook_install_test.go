// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

func TestInstrumentRefuses(t *testing.T) {
	rdb := redistest.Start(t).Client()
	for _, row := range []struct {
		name, reason string
		client       redis.UniversalClient
		channels     func(string) bool
	}{
		{"no channels", "they are asked for", rdb, nil},
		{"a type of the user's own", "nobody knows where its commands go", struct{ redis.UniversalClient }{rdb}, allChannels},
		{"nothing", "it is no client", nil, allChannels},
		{"a client that is nil", "nor is this", (*redis.Client)(nil), allChannels},
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
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		rdb.AddHook(tracedpubsub.NewHook(nil, tracedpubsub.WithTracerProvider(rec)))
		assertSent(t, rdb.Publish(ctx, "reports", "hello"))
		rec.spans(t, 0) // there are no channels

		rdb.AddHook(tracedpubsub.NewHook(allChannels, tracedpubsub.WithTracerProvider(rec)))
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))
		assertSent(t, rdb.Publish(ctx, "reports", "hello"))
		span := rec.spans(t, 1)[0]
		assertAttributes(t, span, messaging("publish", "reports")...)
		assertCarries(t, nextRaw(t, raw), "hello", span)
	})
}

// go-redis takes the hooks off the client that WithTimeout returns: that is a client to
// be instrumented like any other.
func TestInstrumentWithTimeout(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		instrument(t, rdb, rec)
		patient := rdb.WithTimeout(patience)
		assertSent(t, patient.Publish(ctx, "reports", "hello"))
		rec.spans(t, 0)
		instrument(t, patient, rec)
		assertSent(t, patient.Publish(ctx, "reports", "hello"))
		assertAttributes(t, rec.spans(t, 1)[0], served(rdb, "publish", "reports", heardBy(0))...)
		assertSent(t, rdb.Publish(ctx, "reports", "hello"))
		rec.spans(t, 2)
	})
}

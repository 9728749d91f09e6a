// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// What a hook sees is sent when it sees it, in a pipeline too: each message
// counts, and the batch took its time once.
func TestHookMetrics(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		opts         []tracedpubsub.Option
		publish      func(t *testing.T, rdb *redis.Client)
		want         func(rdb *redis.Client) (sent, took []point)
	}{{
		"single", "as Publish of this package has it", nil,
		func(t *testing.T, rdb *redis.Client) { assertSent(t, rdb.Publish(t.Context(), "a", "1")) },
		func(rdb *redis.Client) (sent, took []point) {
			return []point{seriesOf(1, rdb, "publish")}, []point{seriesOf(1, rdb, "publish")}
		},
	}, {
		"pipeline", "three messages in one batch", nil, publishThree,
		func(rdb *redis.Client) (sent, took []point) {
			return []point{seriesOf(3, rdb, "send")}, []point{seriesOf(1, rdb, "send")}
		},
	}, {
		"batch span only", "the spans are others, the messages are not",
		[]tracedpubsub.Option{tracedpubsub.WithBatchSpanOnly()}, publishThree,
		func(rdb *redis.Client) (sent, took []point) {
			return []point{seriesOf(3, rdb, "send")}, []point{seriesOf(1, rdb, "send")}
		},
	}, {
		"partial failure", "one of the messages has the error, and so has the batch", nil,
		func(t *testing.T, rdb *redis.Client) {
			_, _ = rdb.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
				pipe.Publish(t.Context(), "a", "1")
				pipe.Publish(t.Context(), "forbidden", "2")
				return nil
			})
		},
		func(rdb *redis.Client) (sent, took []point) {
			failed := seriesOf(1, rdb, "send", errorType("NOPERM"))
			return []point{seriesOf(1, rdb, "send"), failed}, []point{failed}
		},
	}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Log(tt.reason)
			rdb := redistest.Start(t).Client()
			if err := rdb.Do(t.Context(), "ACL", "SETUSER", "default", "resetchannels", "&a").Err(); err != nil {
				t.Fatal(err)
			}
			m := newMetering(t)
			opts := append([]tracedpubsub.Option{m.option()}, tt.opts...)
			if err := tracedpubsub.Instrument(rdb, allChannels, opts...); err != nil {
				t.Fatal(err)
			}
			tt.publish(t, rdb)
			sent, took := tt.want(rdb)
			m.assertPoints(t, sentMessages, sent...)
			m.assertPoints(t, operationDuration, took...)
			m.assertOnly(t, sentMessages, operationDuration)
		})
	}
}

func publishThree(t *testing.T, rdb *redis.Client) {
	t.Helper()
	if _, err := rdb.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for range 3 {
			pipe.Publish(t.Context(), "a", "1")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

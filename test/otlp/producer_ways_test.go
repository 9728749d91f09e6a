// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var producerWays = []way{{
	name: "publish", reason: "the channel is in the name of the span",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		tracetest.AssertSent(t, s.client().Publish(ctx, channel, payload))
	},
	spans: []string{"publish " + exportedChannel},
	texts: []string{exportedChannel},
}, {
	name: "sharded publish", reason: "likewise",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		tracetest.AssertSent(t, s.client().SPublish(ctx, channel, payload))
	},
	spans: []string{"spublish " + exportedChannel},
	texts: []string{exportedChannel},
}, {
	name: "publish with a template", reason: "metrics have it, too",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		tracetest.AssertSent(t, s.client(template).Publish(ctx, channel, payload))
	},
	spans:   []string{"publish " + exportedChannel + ".events"},
	texts:   []string{exportedChannel, exportedChannel + ".events"},
	metrics: []string{exportedChannel + ".events"},
}, {
	name: "different bytes", reason: "the templates become equal, and their series one",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		client := s.client(template)
		tracetest.AssertSent(t, client.Publish(ctx, "user.\xff", payload))
		tracetest.AssertSent(t, client.Publish(ctx, "user.\xfe", payload))
	},
	spans:   []string{"publish " + exportedChannel + ".events", "publish " + exportedChannel + ".events"},
	texts:   []string{exportedChannel, exportedChannel + ".events"},
	metrics: []string{exportedChannel + ".events"},
}, {
	name: "publish in a pipeline", reason: "the span is another one",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		client := s.client()
		publishValid(ctx, t, s)
		_, err := client.Unwrap().Pipelined(ctx, func(pipe redis.Pipeliner) error {
			client.PublishTo(ctx, pipe, channel, payload)
			return nil
		})
		assertNoError(t, err)
	},
	spans: []string{"create " + exportedChannel, "publish reports"},
	texts: []string{exportedChannel},
}, {
	name: "hook", reason: "the channel is an argument of a command",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		tracetest.AssertSent(t, s.instrumented(t, template).Publish(ctx, channel, payload))
	},
	spans:   []string{"publish " + exportedChannel + ".events"},
	texts:   []string{exportedChannel, exportedChannel + ".events"},
	metrics: []string{exportedChannel + ".events"},
}, {
	name: "pipeline", reason: "the span of the batch has the channel of its messages",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		_, err := s.instrumented(t, template).Pipelined(ctx, two(ctx))
		assertNoError(t, err)
	},
	spans: []string{
		"create " + exportedChannel + ".events", "create " + exportedChannel + ".events", "send " + exportedChannel + ".events",
	},
	texts:   []string{exportedChannel, exportedChannel + ".events"},
	metrics: []string{exportedChannel + ".events"},
}, {
	name: "transaction", reason: "likewise",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		_, err := s.instrumented(t).TxPipelined(ctx, two(ctx))
		assertNoError(t, err)
	},
	spans: []string{"create " + exportedChannel, "create " + exportedChannel, "send " + exportedChannel},
	texts: []string{exportedChannel},
}, {
	name: "batch span only", reason: "the only span has the channel",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		_, err := s.instrumented(t, tracedpubsub.WithBatchSpanOnly()).Pipelined(ctx, two(ctx))
		assertNoError(t, err)
	},
	spans: []string{"send " + exportedChannel},
	texts: []string{exportedChannel},
}}

// two adds two messages to a pipeline.
func two(ctx context.Context) func(redis.Pipeliner) error {
	return func(pipe redis.Pipeliner) error {
		pipe.Publish(ctx, channel, payload)
		pipe.Publish(ctx, channel, payload)
		return nil
	}
}

func assertNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

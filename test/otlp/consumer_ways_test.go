// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Anyone who may publish on a channel that matches a pattern chooses its name.
var consumerWays = []way{{
	name: "Messages", reason: "the channel is an attribute",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		for range s.received(ctx, t).Messages(ctx) {
			break
		}
	},
	spans: []string{"process user.*"},
	texts: []string{exportedChannel},
}, {
	name: "Process", reason: "likewise",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		process(ctx, t, s.received(ctx, t), func(*tracedpubsub.Message) error { return nil })
	},
	spans: []string{"process user.*"},
	texts: []string{exportedChannel},
}, {
	name: "Channel", reason: "likewise",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		select {
		case m := <-s.received(ctx, t).Channel():
			_, span := m.Start(ctx)
			span.End()
		case <-ctx.Done():
			t.Error(ctx.Err())
		}
		publishValid(ctx, t, s)
	},
	spans: []string{"process user.*", "publish reports"},
	texts: []string{exportedChannel},
}, {
	name: "ReceiveMessage", reason: "likewise",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		_, span := tracetest.NextMessage(t, s.received(ctx, t)).Start(ctx)
		span.End()
		publishValid(ctx, t, s)
	},
	spans: []string{"process user.*", "publish reports"},
	texts: []string{exportedChannel},
}, {
	name: "channel", reason: "it is in the name of the span",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		for range s.published(t, s.client().Subscribe(ctx, channel)).Messages(ctx) {
			break
		}
	},
	spans: []string{"process " + exportedChannel},
	texts: []string{exportedChannel},
}, {
	name: "pattern", reason: "it is the template, and metrics have it, too",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		for range s.published(t, s.client().PSubscribe(ctx, pattern)).Messages(ctx) {
			break
		}
	},
	spans:   []string{"process " + exportedPattern},
	texts:   []string{exportedChannel, exportedPattern},
	metrics: []string{exportedPattern},
}, {
	name: "template", reason: "the publisher chooses the channel, and so the template",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		for range s.received(ctx, t, template).Messages(ctx) {
			break
		}
	},
	spans:   []string{"process " + exportedChannel + ".events"},
	texts:   []string{exportedChannel, exportedChannel + ".events"},
	metrics: []string{exportedChannel + ".events"},
}, {
	name: "FromRedis", reason: "for a loop over redis.PubSub",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		_, span := s.client().FromRedis(&redis.Message{Channel: channel, Payload: payload}).Start(ctx)
		span.End()
		publishValid(ctx, t, s)
	},
	spans: []string{"process " + exportedChannel, "publish reports"},
	texts: []string{exportedChannel},
}, {
	name: "error of a handler", reason: "its text quotes the payload",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		process(ctx, t, s.received(ctx, t), func(m *tracedpubsub.Message) error {
			return fmt.Errorf("no report in %s", m.Payload)
		})
	},
	spans: []string{"process user.*"},
	texts: []string{exportedChannel, "no report in " + exportedPayload},
}, {
	name: "type of an error", reason: "an error of the application may call itself what it wants, and metrics have it, too",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		process(ctx, t, s.received(ctx, t), func(m *tracedpubsub.Message) error {
			return typedError{errors.New("no"), m.Payload}
		})
	},
	spans:   []string{"process user.*"},
	texts:   []string{exportedChannel, exportedPayload},
	metrics: []string{exportedPayload},
}, {
	name: "panic of a handler", reason: "its value quotes the payload",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		sub := s.received(ctx, t)
		defer func() {
			if recover() == nil {
				t.Error("the panic did not continue")
			}
		}()
		_ = sub.Process(ctx, func(_ context.Context, m *tracedpubsub.Message) error { panic("no report in " + m.Payload) })
	},
	spans: []string{"process user.*"},
	texts: []string{exportedChannel, "no report in " + exportedPayload},
}}

// typedError is an error that knows its error.type.
type typedError struct {
	error

	errorType string
}

func (e typedError) ErrorType() string { return e.errorType }

// process handles one message.
func process(ctx context.Context, t *testing.T, sub *tracedpubsub.PubSub, handle func(*tracedpubsub.Message) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := sub.Process(ctx, func(_ context.Context, m *tracedpubsub.Message) error {
		cancel()
		return handle(m)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Process returned %v", err)
	}
}

// publishValid publishes a message whose strings are valid, for the metrics that it has.
func publishValid(ctx context.Context, t *testing.T, s *scene) {
	t.Helper()
	tracetest.AssertSent(t, s.client().Publish(ctx, "reports", ""))
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// wayToSubscribe is a kind of subscription, by this package and by go-redis, and
// how to publish to it.
type wayToSubscribe struct {
	name, reason string
	names        func(channel string) string // what is subscribed to, to hear channel
	subscribe    func(c *tracedpubsub.Client, ctx context.Context, names ...string) *tracedpubsub.PubSub
	raw          func(rdb *redis.Client, ctx context.Context, names ...string) *redis.PubSub
	publish      func(c *tracedpubsub.Client, ctx context.Context, channel string, payload any) *redis.IntCmd
	operation    string // of the producer span
	patterns     bool
	noMiniredis  string // what miniredis answers, where it does not support this
}

var waysToSubscribe = []wayToSubscribe{{
	name:      "Subscribe",
	reason:    "the usual subscription, to one channel",
	names:     func(channel string) string { return channel },
	subscribe: (*tracedpubsub.Client).Subscribe,
	raw:       (*redis.Client).Subscribe,
	publish:   (*tracedpubsub.Client).Publish,
	operation: "publish",
}, {
	name:      "PSubscribe",
	reason:    "a pattern stands in the message, and in the place of a template",
	names:     func(channel string) string { return channel[:len(channel)-2] + "*" },
	subscribe: (*tracedpubsub.Client).PSubscribe,
	raw:       (*redis.Client).PSubscribe,
	publish:   (*tracedpubsub.Client).Publish,
	operation: "publish",
	patterns:  true,
}, {
	name:        "SSubscribe",
	reason:      "sharded channels have commands of their own; miniredis does not know them, so this is for the real server only",
	names:       func(channel string) string { return channel },
	subscribe:   (*tracedpubsub.Client).SSubscribe,
	raw:         (*redis.Client).SSubscribe,
	publish:     (*tracedpubsub.Client).SPublish,
	operation:   "spublish",
	noMiniredis: "ERR unknown command",
}}

// wayToConsume takes one message, of a subscription of this package or, for
// FromRedis, of one of go-redis, and handles it in its consumer span.
type wayToConsume struct {
	name, reason string
	fromRaw      bool
	consume      func(t *testing.T, ctx context.Context, s *receiving, handle handler)
}

type handler func(ctx context.Context, m *tracedpubsub.Message)

type receiving struct {
	client *tracedpubsub.Client
	sub    *tracedpubsub.PubSub
	raw    *redis.PubSub
}

var waysToConsume = []wayToConsume{{
	name:   "Messages",
	reason: "the loop starts and ends the span",
	consume: func(_ *testing.T, ctx context.Context, s *receiving, handle handler) {
		for ctx, m := range s.sub.Messages(ctx) {
			handle(ctx, m)
			break
		}
	},
}, {
	name:   "Process",
	reason: "the same with a function in the place of a body",
	consume: func(t *testing.T, ctx context.Context, s *receiving, handle handler) {
		ctx, cancel := context.WithCancel(ctx)
		err := s.sub.Process(ctx, func(ctx context.Context, m *tracedpubsub.Message) error {
			handle(ctx, m)
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Process returned %v, want %v", err, context.Canceled)
		}
	},
}, {
	name:   "Channel",
	reason: "the caller starts the span, in a select loop",
	consume: func(t *testing.T, ctx context.Context, s *receiving, handle handler) {
		select {
		case m := <-s.sub.Channel():
			within(ctx, m, handle)
		case <-ctx.Done():
			t.Error(ctx.Err())
		}
	},
}, {
	name:   "ReceiveMessage",
	reason: "the caller starts the span, message by message",
	consume: func(t *testing.T, ctx context.Context, s *receiving, handle handler) {
		m, err := s.sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		within(ctx, m, handle)
	},
}, {
	name:    "FromRedis",
	reason:  "a loop of go-redis' own, into which this package does not reach",
	fromRaw: true,
	consume: func(t *testing.T, ctx context.Context, s *receiving, handle handler) {
		select {
		case m := <-s.raw.Channel():
			within(ctx, s.client.FromRedis(m), handle)
		case <-ctx.Done():
			t.Error(ctx.Err())
		}
	},
}}

func within(ctx context.Context, m *tracedpubsub.Message, handle handler) {
	ctx, span := m.Start(ctx)
	defer span.End()
	handle(ctx, m)
}

func TestRoundTrip(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, s := range waysToSubscribe {
			if s.noMiniredis != "" && onMiniredis(t) {
				t.Run(s.name, func(t *testing.T) { assertUnsupported(t, rdb, s) })
				continue
			}
			for _, c := range waysToConsume {
				t.Run(s.name+"/"+c.name, func(t *testing.T) {
					roundTrip(t, rdb, s, c, "reports."+s.name+"."+c.name+".7")
				})
			}
		}
	})
}

// onMiniredis says which of its servers onEachServer has given the test.
func onMiniredis(t *testing.T) bool { return strings.HasSuffix(t.Name(), "/miniredis") }

// assertUnsupported asserts that the server refuses both ends. Should it begin to
// know them, the row has to say so.
func assertUnsupported(t *testing.T, rdb *redis.Client, s wayToSubscribe) {
	ctx, client := testContext(t), tracedpubsub.Wrap(rdb)
	sub := s.subscribe(client, ctx, "reports")
	t.Cleanup(func() { _ = sub.Close() })
	if err := sub.Ready(ctx); err == nil || !strings.Contains(err.Error(), s.noMiniredis) {
		t.Errorf("Ready of %s = %v, want %q (%s)", s.name, err, s.noMiniredis, s.reason)
	}
	if err := s.publish(client, ctx, "reports", "hello").Err(); err == nil || !strings.Contains(err.Error(), s.noMiniredis) {
		t.Errorf("%s = %v, want %q (%s)", s.operation, err, s.noMiniredis, s.reason)
	}
}

func roundTrip(t *testing.T, rdb *redis.Client, s wayToSubscribe, c wayToConsume, channel string) {
	ctx := testContext(t)
	producers, consumers := newRecorder(t), newRecorder(t)
	var told errorLog
	from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers), told.option())
	to := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers), told.option())
	subscription := &receiving{client: to}
	if c.fromRaw {
		subscription.raw = readyRaw(t, s.raw(rdb, ctx, s.names(channel)))
	} else {
		subscription.sub = readySub(t, s.subscribe(to, ctx, s.names(channel)))
	}

	publishing, callerSpan := withCaller(t, ctx)
	cmd := s.publish(from, publishing, channel, "hello")
	assertSent(t, cmd)
	if cmd.Name() != s.operation {
		t.Errorf("the command is %q, want %q", cmd.Name(), s.operation)
	}
	producer := producers.spans(t, 1)[0]
	assertName(t, producer, s.operation+" "+channel)
	assertKind(t, producer, trace.SpanKindProducer)
	assertChildOf(t, producer, callerSpan)
	assertLinks(t, producer)
	assertAttributes(t, producer, served(rdb, s.operation, channel, heardBy(1))...)
	assertSucceeded(t, producer)
	assertScope(t, producer)

	handled := 0
	var inside trace.SpanContext
	c.consume(t, ctx, subscription, func(ctx context.Context, m *tracedpubsub.Message) {
		handled++
		inside = trace.SpanContextFromContext(ctx)
		assertMessage(t, m, s, channel)
		if n := len(consumers.sofar()); n != 0 {
			t.Errorf("%d consumer spans have ended while the message was handled", n)
		}
	})
	if handled != 1 {
		t.Fatalf("%d messages were handled, want 1", handled)
	}
	consumer := consumers.spans(t, 1)[0]
	destination, extra := channel, []attribute.KeyValue(nil)
	if s.patterns {
		destination = s.names(channel)
		extra = append(extra, templated(destination))
	}
	assertName(t, consumer, "process "+destination)
	assertKind(t, consumer, trace.SpanKindConsumer)
	assertParent(t, consumer, producer)
	if !consumer.Parent().IsRemote() {
		t.Error("the parent of the consumer span is not remote")
	}
	assertLinks(t, consumer)
	assertAttributes(t, consumer, served(rdb, "process", channel, extra...)...)
	assertSucceeded(t, consumer)
	assertScope(t, consumer)
	if !inside.Equal(consumer.SpanContext()) {
		t.Errorf("the context of the handler holds the span %v, want %v", inside.SpanID(), consumer.SpanContext().SpanID())
	}
	told.assertNone(t)
}

func assertMessage(t *testing.T, m *tracedpubsub.Message, s wayToSubscribe, channel string) {
	t.Helper()
	pattern := ""
	if s.patterns {
		pattern = s.names(channel)
	}
	if m.Channel != channel || m.Pattern != pattern || m.Payload != "hello" || m.PayloadSlice != nil || m.Err != nil {
		t.Errorf("got %+v, want channel %q, pattern %q, payload hello, no error", m, channel, pattern)
	}
}

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

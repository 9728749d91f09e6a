// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// dialing returns a client of a server that dial connects to. Its address is that of no host.
func dialing(t *testing.T, s *scene, dial func(ctx context.Context) (net.Conn, error)) *tracedpubsub.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr:       "redis\xff.example:6379",
		MaxRetries: -1,
		Dialer:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return tracedpubsub.Wrap(rdb, s.options()...)
}

var otherWays = []way{{
	name: "address", reason: "a Dialer may know any name, and metrics have it, too",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		client := dialing(t, s, func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.server.Addr())
		})
		for range s.published(t, client.Subscribe(ctx, channel)).Messages(ctx) {
			break
		}
		tracetest.AssertSent(t, client.Publish(ctx, "reports", ""))
	},
	spans:   []string{"process " + exportedChannel, "publish reports"},
	texts:   []string{exportedChannel, "redis\uFFFD.example"},
	metrics: []string{"redis\uFFFD.example"},
}, {
	name: "error of a client", reason: "a Dialer of the application fails as it wants, for spans and for the metrics of subscriptions",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		client := dialing(t, s, func(context.Context) (net.Conn, error) {
			return nil, typedError{errors.New("no host \xff"), "lookup \xff"}
		})
		if err := client.Publish(ctx, "reports", "").Err(); err == nil {
			t.Error("the message was sent")
		}
		sub := client.Subscribe(ctx, "reports")
		defer sub.Close()
		if err := sub.Ready(ctx); err == nil {
			t.Error("the subscription is ready")
		}
	},
	spans:   []string{"publish reports"},
	texts:   []string{"redis\uFFFD.example", "no host \uFFFD", "lookup \uFFFD"},
	metrics: []string{"redis\uFFFD.example", "lookup \uFFFD"},
}, {
	name: "attributes of every span", reason: "an application may have read them from somewhere",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		client := s.client(tracedpubsub.WithAttributes(attribute.String("key\xff", "value\xff"),
			attribute.StringSlice("list", []string{"one\xff", "two"}), attribute.Int("number\xff", 1)))
		tracetest.AssertSent(t, client.Publish(ctx, "reports", ""))
	},
	spans: []string{"publish reports"},
	texts: []string{"key\uFFFD", "value\uFFFD", "one\uFFFD", "number\uFFFD"},
}, {
	name: "options of a span", reason: "an application takes attributes from the message",
	run: func(ctx context.Context, t *testing.T, s *scene) {
		m := tracetest.NextMessage(t, s.received(ctx, t))
		link := trace.Link{
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}),
			Attributes:  []attribute.KeyValue{attribute.String("linked", m.Payload)},
		}
		_, span := m.Start(ctx, trace.WithAttributes(attribute.String("user", m.Payload)), trace.WithLinks(link))
		span.End()
		publishValid(ctx, t, s)
	},
	spans: []string{"process user.*", "publish reports"},
	texts: []string{exportedChannel, exportedPayload},
}}

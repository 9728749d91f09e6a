// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
)

// A no-op provider returns the span that it finds in the context. For a consumer that is
// the producer, or its own span if the producer must not be the parent.
func TestConsumerWithoutSpans(t *testing.T) {
	const envelope = `{"tracedpubsub":1,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","baggage":"k=v","payload":"x"}`
	producer := trace.SpanID{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31}
	caller := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	link, public := tracedpubsub.WithRelation(tracedpubsub.RelationLink), tracedpubsub.WithPublicEndpoint()
	for _, tt := range []struct {
		name, reason string
		option       tracedpubsub.Option
		caller       trace.SpanContext
		message      string
		want         trace.SpanID
		baggage      string
	}{
		{"child", "the context of the producer", nil, caller, envelope, producer, "v"},
		{"child alone", "the same without a caller", nil, trace.SpanContext{}, envelope, producer, "v"},
		{"without producer", "the context of the caller", nil, caller, "x", caller.SpanID(), ""},
		{"without producer, alone", "there is no context", nil, trace.SpanContext{}, "x", trace.SpanID{}, ""},
		{"link", "the consumer is not in the trace of the producer", link, caller, envelope, caller.SpanID(), "v"},
		{"link alone", "the same without a caller", link, trace.SpanContext{}, envelope, trace.SpanID{}, "v"},
		{"public", "the publisher is not trusted", public, caller, envelope, caller.SpanID(), ""},
		{"public alone", "the same without a caller", public, trace.SpanContext{}, envelope, trace.SpanID{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := tracedpubsub.FromRedis(&redis.Message{Channel: "a", Payload: tt.message},
				tracedpubsub.WithTracerProvider(noop.NewTracerProvider()), tt.option)
			ctx := trace.ContextWithSpanContext(context.Background(), tt.caller)
			ctx, span := m.Start(ctx)
			defer span.End()
			if got := trace.SpanContextFromContext(ctx).SpanID(); got != tt.want {
				t.Errorf("%s: the context holds %v, want %v", tt.reason, got, tt.want)
			}
			if got := baggage.FromContext(ctx).Member("k").Value(); got != tt.baggage {
				t.Errorf("%s: the baggage is %q, want %q", tt.reason, got, tt.baggage)
			}
		})
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
)

// A provider that makes no spans passes on the one that it finds. Which that is
// is decided here.
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
		{"child", "the producer's context goes on", nil, caller, envelope, producer, "v"},
		{"child alone", "the same without a caller", nil, trace.SpanContext{}, envelope, producer, "v"},
		{"bare", "the caller's context stays where there is no producer", nil, caller, "x", caller.SpanID(), ""},
		{"bare alone", "there is none at all", nil, trace.SpanContext{}, "x", trace.SpanID{}, ""},
		{"link", "the producer's trace is not to be this one", link, caller, envelope, caller.SpanID(), "v"},
		{"link alone", "the same without a caller", link, trace.SpanContext{}, envelope, trace.SpanID{}, "v"},
		{"public", "nothing of the publisher's gets in", public, caller, envelope, caller.SpanID(), ""},
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// setGlobalPropagator sets the global propagator until the test ends. The one
// that was there at first hands everything on to the first that is set, for ever:
// so what is left behind is one without fields, which is what it was.
func setGlobalPropagator(t *testing.T, p propagation.TextMapPropagator) {
	t.Helper()
	t.Cleanup(func() { otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator()) })
	otel.SetTextMapPropagator(p)
}

// setGlobalTracer sets the global tracer provider until the test ends. For the
// same reason it leaves a no-op provider behind.
func setGlobalTracer(t *testing.T, tp trace.TracerProvider) {
	t.Helper()
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	otel.SetTracerProvider(tp)
}

// The functions without options are those of a Client without options, with the
// global providers.
func TestPackageFunctions(t *testing.T) {
	rows := []struct {
		wayToSubscribe
		subscribe func(ctx context.Context, rdb *redis.Client, name string) *tracedpubsub.PubSub
		publish   func(ctx context.Context, rdb *redis.Client, channel, payload string) *redis.IntCmd
	}{{
		waysToSubscribe[0],
		func(ctx context.Context, rdb *redis.Client, name string) *tracedpubsub.PubSub {
			return tracedpubsub.Subscribe(ctx, rdb, name)
		},
		func(ctx context.Context, rdb *redis.Client, channel, payload string) *redis.IntCmd {
			return tracedpubsub.Publish(ctx, rdb, channel, payload)
		},
	}, {
		waysToSubscribe[1],
		func(ctx context.Context, rdb *redis.Client, name string) *tracedpubsub.PubSub {
			return tracedpubsub.PSubscribe(ctx, rdb, name)
		},
		func(ctx context.Context, rdb *redis.Client, channel, payload string) *redis.IntCmd {
			return tracedpubsub.Publish(ctx, rdb, channel, payload)
		},
	}, {
		waysToSubscribe[2],
		func(ctx context.Context, rdb *redis.Client, name string) *tracedpubsub.PubSub {
			return tracedpubsub.SSubscribe(ctx, rdb, name)
		},
		func(ctx context.Context, rdb *redis.Client, channel, payload string) *redis.IntCmd {
			return tracedpubsub.SPublish(ctx, rdb, channel, payload)
		},
	}}
	rdb := redistest.Start(t).Client()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			ctx, rec := testContext(t), newRecorder(t)
			setGlobalTracer(t, rec)
			channel := "reports." + row.name + ".7"
			sub := readySub(t, row.subscribe(ctx, rdb, row.names(channel)))
			publishing, callerSpan := withCaller(t, ctx)
			assertSent(t, row.publish(publishing, rdb, channel, "hello"))
			for _, m := range sub.Messages(ctx) {
				assertMessage(t, m, row.wayToSubscribe, channel)
				break
			}
			spans := rec.spans(t, 2)
			assertName(t, spans[0], row.operation+" "+channel)
			assertChildOf(t, spans[0], callerSpan)
			assertAttributes(t, spans[0], served(rdb, row.operation, channel, heardBy(1))...)
			assertParent(t, spans[1], spans[0])
			if row.patterns {
				assertAttributes(t, spans[1], served(rdb, "process", channel, templated(row.names(channel)))...)
			} else {
				assertAttributes(t, spans[1], served(rdb, "process", channel)...)
			}
		})
	}
}

func TestGlobalTracerProviderSetLaterCounts(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, client := testContext(t), tracedpubsub.Wrap(rdb)
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		before := func() {
			assertSent(t, client.Publish(ctx, "reports", "hello"))
			for ctx := range sub.Messages(ctx) {
				if s := trace.SpanFromContext(ctx); s.IsRecording() {
					t.Error("a span is recorded although there is no provider")
				}
				break
			}
		}
		before() // used, and kept, before there is any

		for _, name := range []string{"first", "second"} {
			rec := newRecorder(t)
			setGlobalTracer(t, rec)
			assertSent(t, client.Publish(ctx, "reports", name))
			for range sub.Messages(ctx) {
				break
			}
			spans := rec.spans(t, 2)
			assertName(t, spans[0], "publish reports")
			assertName(t, spans[1], "process reports")
			assertParent(t, spans[1], spans[0])
		}
	})
}

func TestGlobalPropagator(t *testing.T) {
	rows := []struct {
		name, reason string
		global       propagation.TextMapPropagator // nil: none is set
		has, lacks   []string                      // on the wire
	}{
		{"none", "it works before anybody has set one", nil, []string{`"traceparent":"00-`, `"baggage":"tenant=acme"`}, nil},
		{"no fields", "one without fields carries nothing, and is what is there before one is set", propagation.NewCompositeTextMapPropagator(),
			[]string{`"traceparent":"00-`, `"baggage":"tenant=acme"`}, nil},
		{"W3C trace context only", "whoever leaves out baggage means it", propagation.TraceContext{}, []string{`"traceparent":"00-`}, []string{"baggage"}},
		{"a slice", "the composite propagator of the API cannot be compared with ==",
			propagation.NewCompositeTextMapPropagator(slashes{}, propagation.Baggage{}), []string{`"x-trace":"`, `"baggage":"tenant=acme"`}, []string{"traceparent"}},
		{"other fields", "another format in the place of W3C", slashes{}, []string{`"x-trace":"`}, []string{"traceparent", "baggage"}},
	}
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		// One client for all: what it keeps of one propagator must not outlive it.
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))
		for i, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				if row.global != nil {
					setGlobalPropagator(t, row.global)
				}
				assertSent(t, client.Publish(withBaggage(t, ctx, "tenant=acme"), "reports", "hello"))
				wire := nextRaw(t, raw).Payload
				for _, text := range row.has {
					if !strings.Contains(wire, text) {
						t.Errorf("no %s in %s: %s", text, wire, row.reason)
					}
				}
				for _, text := range row.lacks {
					if strings.Contains(wire, text) {
						t.Errorf("%s in %s: %s", text, wire, row.reason)
					}
				}
				for range sub.Messages(ctx) {
					break
				}
				spans := rec.spans(t, 2*(i+1))
				assertParent(t, spans[2*i+1], spans[2*i])
			})
		}
	})
}

// samplerOf records what a sampler is asked.
type samplerOf struct {
	sdktrace.Sampler
	asked []sdktrace.SamplingParameters
}

func (s *samplerOf) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.asked = append(s.asked, p)
	return s.Sampler.ShouldSample(p)
}

// A sampler sees what a span says, but for the outcome.
func TestSamplersSeeAttributes(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := testContext(t)
		sampler := &samplerOf{Sampler: sdktrace.AlwaysSample()}
		rec := newRecorder(t, sdktrace.WithSampler(sampler))
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec),
			tracedpubsub.WithDestinationTemplate(func(string) string { return "user.{id}" }))
		sub := readySub(t, client.Subscribe(ctx, "user.7"))
		assertSent(t, client.Publish(ctx, "user.7", "hello"))
		_, ambient := withCaller(t, ctx)
		for range sub.Messages(trace.ContextWithSpanContext(ctx, ambient)) {
			break
		}
		spans := rec.spans(t, 2)
		for i, operation := range []string{"publish", "process"} {
			asked := sampler.asked[i]
			assertAttributeSet(t, "the sampler's question", asked.Attributes, served(rdb, operation, "user.7", templated("user.{id}")))
			if asked.Name != operation+" user.{id}" || asked.Kind != spans[i].SpanKind() || len(asked.Links) != i {
				t.Errorf("the sampler was asked about %q, %v, %d links", asked.Name, asked.Kind, len(asked.Links))
			}
		}
	})
}

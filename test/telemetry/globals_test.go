// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// setGlobalPropagator sets the global propagator until the test ends, and one without
// fields then. The propagator that was there at first cannot be set again: it delegates to
// the first one that is set, for as long as the process lives.
func setGlobalPropagator(t *testing.T, p propagation.TextMapPropagator) {
	t.Helper()
	t.Cleanup(func() { otel.SetTextMapPropagator(untouchedPropagator) })
	otel.SetTextMapPropagator(p)
}

// untouchedPropagator is the global propagator before a program sets one. It delegates to the
// first one that is set, for ever: here that is one without fields, so that each test may have
// it back as it was.
var untouchedPropagator = func() propagation.TextMapPropagator {
	untouched := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator())
	otel.SetTextMapPropagator(untouched)
	return untouched
}()

// The functions of the package do what a Client without options does, with the global
// providers.
func TestPackageFunctions(t *testing.T) {
	rows := []struct {
		tracetest.WayToSubscribe
		subscribe func(ctx context.Context, rdb *redis.Client, topic string) *tracedpubsub.PubSub
		publish   func(ctx context.Context, rdb *redis.Client, channel, payload string) *redis.IntCmd
	}{{
		tracetest.WaysToSubscribe[0],
		func(ctx context.Context, rdb *redis.Client, topic string) *tracedpubsub.PubSub {
			return tracedpubsub.Subscribe(ctx, rdb, topic)
		},
		func(ctx context.Context, rdb *redis.Client, channel, payload string) *redis.IntCmd {
			return tracedpubsub.Publish(ctx, rdb, channel, payload)
		},
	}, {
		tracetest.WaysToSubscribe[1],
		func(ctx context.Context, rdb *redis.Client, topic string) *tracedpubsub.PubSub {
			return tracedpubsub.PSubscribe(ctx, rdb, topic)
		},
		func(ctx context.Context, rdb *redis.Client, channel, payload string) *redis.IntCmd {
			return tracedpubsub.Publish(ctx, rdb, channel, payload)
		},
	}, {
		tracetest.WaysToSubscribe[2],
		func(ctx context.Context, rdb *redis.Client, topic string) *tracedpubsub.PubSub {
			return tracedpubsub.SSubscribe(ctx, rdb, topic)
		},
		func(ctx context.Context, rdb *redis.Client, channel, payload string) *redis.IntCmd {
			return tracedpubsub.SPublish(ctx, rdb, channel, payload)
		},
	}}
	rdb := redistest.Start(t).Client()
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
			tracetest.SetGlobalTracer(t, rec)
			channel := "reports." + row.Name + ".7"
			sub := tracetest.ReadySub(t, row.subscribe(ctx, rdb, row.Topic(channel)))
			publishing, callerSpan := tracetest.WithCaller(t, ctx)
			tracetest.AssertSent(t, row.publish(publishing, rdb, channel, "hello"))
			for _, m := range sub.Messages(ctx) {
				tracetest.AssertMessage(t, m, row.WayToSubscribe, channel)
				break
			}
			spans := rec.Spans(t, 2)
			tracetest.AssertName(t, spans[0], row.Operation+" "+channel)
			tracetest.AssertChildOf(t, spans[0], callerSpan)
			tracetest.AssertAttributes(t, spans[0], tracetest.MessagingOn(rdb, row.Operation, channel, tracetest.Receivers(1))...)
			tracetest.AssertParent(t, spans[1], spans[0])
			if row.Patterns {
				tracetest.AssertAttributes(t, spans[1], tracetest.MessagingOn(rdb, "process", channel, tracetest.Template(row.Topic(channel)))...)
			} else {
				tracetest.AssertAttributes(t, spans[1], tracetest.MessagingOn(rdb, "process", channel)...)
			}
		})
	}
}

// A global tracer provider that is set while a Client is in use counts from then on.
func TestGlobalTracerProviderSetLaterCounts(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, client := tracetest.Context(t), tracedpubsub.Wrap(rdb)
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		before := func() {
			tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
			for ctx := range sub.Messages(ctx) {
				if s := trace.SpanFromContext(ctx); s.IsRecording() {
					t.Error("a span is recorded although there is no provider")
				}
				break
			}
		}
		before() // the no-op provider is used, and cached

		for _, name := range []string{"first", "second"} {
			rec := tracetest.NewRecorder(t)
			tracetest.SetGlobalTracer(t, rec)
			tracetest.AssertSent(t, client.Publish(ctx, "reports", name))
			for range sub.Messages(ctx) {
				break
			}
			spans := rec.Spans(t, 2)
			tracetest.AssertName(t, spans[0], "publish reports")
			tracetest.AssertName(t, spans[1], "process reports")
			tracetest.AssertParent(t, spans[1], spans[0])
		}
	})
}

// The global propagator counts if it has fields, and W3C Trace Context and Baggage
// otherwise.
func TestGlobalPropagator(t *testing.T) {
	rows := []struct {
		name, reason string
		global       propagation.TextMapPropagator // nil: none is set
		has, lacks   []string                      // on the wire
	}{
		{"none", "there is a default", nil, []string{`"traceparent":"00-`, `"baggage":"tenant=acme"`}, nil},
		{"no fields", "the application wants no propagation: OTEL_PROPAGATORS=none", propagation.NewCompositeTextMapPropagator(),
			nil, []string{"traceparent", "baggage"}},
		{"W3C trace context only", "baggage may be left out", propagation.TraceContext{}, []string{`"traceparent":"00-`}, []string{"baggage"}},
		{"a slice", "the composite propagator of the API cannot be compared with ==",
			propagation.NewCompositeTextMapPropagator(tracetest.CustomPropagator{}, propagation.Baggage{}), []string{`"x-trace":"`, `"baggage":"tenant=acme"`}, []string{"traceparent"}},
		{"other fields", "another format instead of W3C", tracetest.CustomPropagator{}, []string{`"x-trace":"`}, []string{"traceparent", "baggage"}},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		// One client for all rows: it must not keep anything of a propagator that was replaced.
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		for i, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				if row.global != nil {
					setGlobalPropagator(t, row.global)
				}
				tracetest.AssertSent(t, client.Publish(tracetest.WithBaggage(t, ctx, "tenant=acme"), "reports", "hello"))
				wire := tracetest.NextRaw(t, raw).Payload
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
				spans := rec.Spans(t, 2*(i+1))
				if len(row.has) == 0 {
					tracetest.AssertRoot(t, spans[2*i+1])
					return
				}
				tracetest.AssertParent(t, spans[2*i+1], spans[2*i])
			})
		}
	})
}

// A sampler gets the attributes of a span, except for the outcome.
func TestSamplersSeeAttributes(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sampler := &tracetest.RecordingSampler{Sampler: sdktrace.AlwaysSample()}
		rec := tracetest.NewRecorder(t, sdktrace.WithSampler(sampler))
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec),
			tracedpubsub.WithDestinationTemplate(func(string) string { return "user.{id}" }))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "user.7"))
		tracetest.AssertSent(t, client.Publish(ctx, "user.7", "hello"))
		_, ambient := tracetest.WithCaller(t, ctx)
		for range sub.Messages(trace.ContextWithSpanContext(ctx, ambient)) {
			break
		}
		spans := rec.Spans(t, 2)
		for i, operation := range []string{"publish", "process"} {
			call := sampler.Calls[i]
			tracetest.AssertAttributeSet(t, "the call of the sampler", call.Attributes, tracetest.MessagingOn(rdb, operation, "user.7", tracetest.Template("user.{id}")))
			if call.Name != operation+" user.{id}" || call.Kind != spans[i].SpanKind() || len(call.Links) != i {
				t.Errorf("the sampler was called for %q, %v, %d links", call.Name, call.Kind, len(call.Links))
			}
		}
	})
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// The numbers of allocations are exact, and the package promises them. The garbage
// collector is most of what an envelope can cost. The layers have such tests of their own;
// here a message is encoded, published and received as a whole.

// fewestAllocs returns how many allocations f makes when it finds in the pools what it
// has put there. Now and then it does not, with the race detector on purpose.
func fewestAllocs(f func()) float64 {
	fewest := testing.AllocsPerRun(1, f)
	for range 200 {
		fewest = min(fewest, testing.AllocsPerRun(1, f))
	}
	return fewest
}

// onlooker is a span processor. An SDK that has one makes a snapshot of each span.
type onlooker struct{}

func (onlooker) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (onlooker) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (onlooker) Shutdown(context.Context) error                  { return nil }
func (onlooker) ForceFlush(context.Context) error                { return nil }

// producerSpan and consumerSpan start a span of the SDK with attributes that are ready. No
// library can do with less.
func producerSpan(ctx context.Context, tracer trace.Tracer) trace.Span {
	_, span := tracer.Start(ctx, "publish reports", readyAttributes...)
	return span
}

func consumerSpan(ctx context.Context, tracer trace.Tracer) trace.Span {
	return producerSpan(trace.ContextWithRemoteSpanContext(ctx, remote), tracer)
}

var (
	readyAttributes = []trace.SpanStartOption{trace.WithAttributes(
		attribute.String("1", ""), attribute.String("2", ""), attribute.String("3", ""), attribute.String("4", ""))}
	remote = trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
)

// assertAllocs asserts how many allocations f makes beside those of a span, with every kind
// of tracer provider. prepare returns f.
func assertAllocs(t *testing.T, want float64, span func(context.Context, trace.Tracer) trace.Span, prepare func(c *config) (f func())) {
	t.Helper()
	for name, provider := range map[string]trace.TracerProvider{
		"sampled":   sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(onlooker{})),
		"unsampled": sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())),
		"no-op":     noop.NewTracerProvider(),
	} {
		c, tracer := newConfig(WithTracerProvider(provider), WithPropagators(w3c)), provider.Tracer("")
		floor := fewestAllocs(func() { span(context.Background(), tracer).End() })
		if got := fewestAllocs(prepare(c)); got != floor+want {
			t.Errorf("%s: %v allocations, want the %v of a span, and %v", name, got, floor, want)
		}
	}
}

// samplePayloads has a payload for each form of an envelope.
var samplePayloads = []struct {
	name    string
	payload any
}{
	{"text", strings.Repeat("the quick brown fox ", 50)},
	{"escaped text", strings.Repeat("say \"hi\"\n", 100)},
	{"document", `{"items":[` + strings.Repeat(`{"id":7,"name":"x"},`, 50) + `null]}`},
	{"binary", []byte(strings.Repeat("\xff\x00", 500))},
	{"number", 17.5},
}

// Encode allocates the message that it returns. Decode allocates a payload that is not in
// the message verbatim, and nothing else.
func TestAllocationsOfEncodeAndDecode(t *testing.T) {
	ctx := trace.ContextWithSpanContext(context.Background(), remote)
	for _, p := range samplePayloads {
		t.Run(p.name, func(t *testing.T) {
			var message []byte
			if got := fewestAllocs(func() { message, _ = Encode(ctx, p.payload) }); got != 1 {
				t.Errorf("%v allocations to encode, want 1", got)
			}
			var e Envelope
			text, want := string(message), float64(0)
			if p.name == "escaped text" || p.name == "binary" {
				want = 1
			}
			if got := fewestAllocs(func() { e, _ = Decode(text) }); got != want {
				t.Errorf("%v allocations to decode, want %v", got, want)
			}
			if producer := trace.SpanContextFromContext(e.Extract(context.Background())); !producer.Equal(remote) {
				t.Errorf("the context is %v, want %v", producer, remote)
			}
		})
	}
}

// A large payload is copied once. It exceeds the memory that an encoder keeps, where a
// second copy would be allocated each time.
func TestAllocationsOfLargePayloads(t *testing.T) {
	for name, payload := range map[string]any{
		"text":     strings.Repeat("the quick brown fox ", 7_000),
		"document": "[" + strings.Repeat("1234567,", 17_000) + "0]",
	} {
		t.Run(name, func(t *testing.T) {
			if got := fewestAllocs(func() { _, _ = Encode(t.Context(), payload) }); got != 1 {
				t.Errorf("%v allocations to encode, want 1", got)
			}
		})
	}
}

// To publish costs three allocations beside the span: the name of the span, the bytes of
// the envelope, which go-redis may keep, and the argument of the command that holds them.
func TestAllocationsOfPublishing(t *testing.T) {
	ctx := context.Background()
	for _, p := range samplePayloads {
		t.Run(p.name, func(t *testing.T) {
			assertAllocs(t, 3, producerSpan, func(c *config) func() {
				return func() {
					c.publish(ctx, &publication{succeeding, nil, telemetry.Publish, viaPublish}, "reports", p.payload)
				}
			})
		})
	}
}

// silent is a Publisher that always returns the same command, and so allocates nothing.
type silent struct{ cmd *redis.IntCmd }

func (s silent) Publish(context.Context, string, any) *redis.IntCmd { return s.cmd }

// noServer is for a subscription that has no topics, and so never connects.
type noServer struct{ Subscriber }

// To receive costs the name of the span and the Message, and its payload if that is not in
// the message verbatim.
func TestAllocationsOfReceiving(t *testing.T) {
	ctx := context.Background()
	for _, row := range []struct {
		name, reason, payload string
		want                  float64
	}{
		{"text", "the payload is part of what was read", "hello", 2},
		{"document", "likewise", `{"a":[1,2,3]}`, 2},
		{"escaped text", "one more for the payload", `say "hi"`, 3},
		{"binary", "likewise", "\xff\x00", 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := Envelope{Payload: row.payload}
			e.Carrier.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			m := &redis.Message{Channel: "reports", Payload: string(e.AppendTo(nil))}
			var got string
			assertAllocs(t, row.want, consumerSpan, func(c *config) func() {
				p := c.subscribe(ctx, noServer{}, subscription.Channels, nil)
				t.Cleanup(func() { _ = p.Close() })
				return func() {
					p.deliver(m)
					for _, m := range p.Messages(ctx) {
						got = m.Payload
						break
					}
				}
			})
			if got != row.payload {
				t.Errorf("received %q, want %q: %s", got, row.payload, row.reason)
			}
		})
	}
}

func newSDK(t *testing.T, opts ...sdkmetric.Option) metric.MeterProvider {
	t.Helper()
	mp := sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(sdkmetric.NewManualReader()))...)
	t.Cleanup(func() { _ = mp.Shutdown(context.Background()) })
	return mp
}

// dropAll leaves an SDK without any instrument that is enabled.
var dropAll = sdkmetric.WithView(sdkmetric.NewView(
	sdkmetric.Instrument{Name: "*"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}))

// measured are the operations that record metrics. template is the template of the
// channel.
var measured = []struct {
	name, reason string
	run          func(c *config, template string)
}{{
	"publish", "a duration and a message",
	func(c *config, template string) {
		c.publish(context.Background(), &publication{succeeding, nil, telemetry.Publish, viaPublish}, template, "hello")
	},
}, {
	"publish that fails", "the same with error.type",
	func(c *config, template string) {
		c.publish(context.Background(), &publication{failing, nil, telemetry.Publish, viaPublish}, template, "hello")
	},
}, {
	"loop body", "a message, and the duration of the body",
	func(c *config, template string) {
		m := &Message{cfg: c, Channel: template, template: template}
		m.process(context.Background(), func(context.Context, *Message) error { return nil })
	},
}, {
	"handler that fails", "the same with error.type",
	func(c *config, template string) {
		m := &Message{cfg: c, Channel: template, template: template}
		m.process(context.Background(), func(context.Context, *Message) error { return subscription.ErrSilent })
	},
}}

var succeeding, failing = silent{new(redis.IntCmd)}, func() silent {
	cmd := new(redis.IntCmd)
	cmd.SetErr(redis.ErrClosed)
	return silent{cmd}
}()

// Metrics add no allocation to a publish, nor to the body of a loop.
func TestMetricsAddNoAllocations(t *testing.T) {
	for _, spans := range []struct {
		name    string
		sampler sdktrace.Sampler
	}{{"sampled", sdktrace.AlwaysSample()}, {"unsampled", sdktrace.NeverSample()}} {
		tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(spans.sampler))
		t.Cleanup(func() { _ = tp.Shutdown(context.Background()) })
		for _, row := range measured {
			t.Run(row.name+"/"+spans.name, func(t *testing.T) {
				of := func(mp metric.MeterProvider) float64 {
					c := newConfig(WithTracerProvider(tp), WithMeterProvider(mp),
						WithDestinationTemplate(func(channel string) string { return channel }))
					return fewestAllocs(func() { row.run(c, "user.7") })
				}
				off := of(metricnoop.NewMeterProvider())
				if on := of(newSDK(t)); on != off {
					t.Errorf("%s: %v allocations with metrics, %v without", row.reason, on, off)
				}
				if dropped := of(newSDK(t, dropAll)); dropped != off {
					t.Errorf("%v allocations with metrics that are dropped, %v without", dropped, off)
				}
			})
		}
	}
}

// The propagator is looked up for each message.
func TestAllocationsOfPropagatorLookup(t *testing.T) {
	for name, c := range map[string]*config{
		"global": newConfig(),
		"slice":  newConfig(WithPropagators(w3c)),
		"struct": newConfig(WithPropagators(propagation.Baggage{})),
	} {
		if got := testing.AllocsPerRun(100, func() { c.propagation() }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// onlooker is a span processor. An SDK that has one makes snapshots of spans.
type onlooker struct{}

func (onlooker) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (onlooker) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (onlooker) Shutdown(context.Context) error                  { return nil }
func (onlooker) ForceFlush(context.Context) error                { return nil }

// producerSpan and consumerSpan are what no library can do without: a span of the
// SDK, with attributes that are ready.
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

// assertAllocs asserts how many allocations f makes beside those of a span, with each
// tracing that an application may have. prepare returns f.
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

// samplePayloads are one for each form that an envelope has.
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

// To publish costs three allocations beside the span: its name, the bytes of the envelope,
// which go-redis may keep for as long as it likes, and the argument of the command that
// holds them.
func TestAllocationsOfPublishing(t *testing.T) {
	answered := redis.NewIntCmd(context.Background())
	ctx := context.Background()
	for _, p := range samplePayloads {
		t.Run(p.name, func(t *testing.T) {
			assertAllocs(t, 3, producerSpan, func(c *config) func() {
				return func() {
					c.publish(ctx, &publication{silent{answered}, nil, telemetry.Publish, viaPublish}, "reports", p.payload)
				}
			})
		})
	}
}

// A hook needs no more: the argument is part of the substitute that it sends.
func TestAllocationsOfHookedPublishing(t *testing.T) {
	ctx := context.Background()
	cmd := redis.NewIntCmd(ctx, "publish", "reports", "hello")
	assertAllocs(t, 3, producerSpan, func(c *config) func() {
		process := newHook(c).ProcessHook(func(_ context.Context, sent redis.Cmder) error {
			answer(sent)
			return nil
		})
		return func() { _ = process(ctx, cmd) }
	})
}

// In a pipeline a message costs the same, for it may be kept when the others are not.
func TestAllocationsOfHookedPipelines(t *testing.T) {
	const few, many = 2, 5 // so few that all find in the pools what they have put there
	ctx := context.Background()
	cmds := make([]redis.Cmder, many)
	for i := range cmds {
		cmds[i] = redis.NewIntCmd(ctx, "publish", "reports", "hello")
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	tracer := provider.Tracer("")
	span := fewestAllocs(func() { producerSpan(ctx, tracer).End() })
	for _, batchSpanOnly := range []bool{false, true} {
		c := newConfig(WithTracerProvider(provider), WithPropagators(w3c))
		want := (many - few) * (span + 3) // the name of the span, the bytes of the envelope, and the substitute
		if c.batchSpanOnly = batchSpanOnly; batchSpanOnly {
			want = (many - few) * 2
		}
		process := newHook(c).ProcessPipelineHook(func(_ context.Context, sent []redis.Cmder) error {
			for _, cmd := range sent {
				answer(cmd)
			}
			return nil
		})
		got := fewestAllocs(func() { _ = process(ctx, cmds) }) - fewestAllocs(func() { _ = process(ctx, cmds[:few]) })
		if got != want {
			t.Errorf("one span for the batch %t: %v allocations for %d messages more, want %v", batchSpanOnly, got, many-few, want)
		}
	}
}

func newHook(c *config) redis.Hook {
	return &hook{&tracing{cfg: c, channels: func(string) bool { return true }}, standalone}
}

func answer(sent redis.Cmder) { sent.(*redis.IntCmd).SetVal(1) }

// noServer is for a subscription that has no topics, and so never connects.
type noServer struct{ Subscriber }

// To receive costs the name of the span and the Message, and its payload if that has to
// be made of what was read.
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

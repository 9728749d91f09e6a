// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// silent is a Publisher that answers at once, always with the same command, so
// that what is counted is this package's own.
type silent struct{ cmd *redis.IntCmd }

func (s silent) Publish(context.Context, string, any) *redis.IntCmd { return s.cmd }

func newSDK(t *testing.T, opts ...sdkmetric.Option) metric.MeterProvider {
	t.Helper()
	mp := sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(sdkmetric.NewManualReader()))...)
	t.Cleanup(func() { _ = mp.Shutdown(context.Background()) })
	return mp
}

// dropAll is what leaves an SDK without any instrument that is enabled.
var dropAll = sdkmetric.WithView(sdkmetric.NewView(
	sdkmetric.Instrument{Name: "*"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}))

// whatIsMeasured are the operations on which something is recorded. template says
// which template a message gets.
var whatIsMeasured = []struct {
	name, reason string
	run          func(c *config, template string)
}{{
	"publish", "a duration and a message",
	func(c *config, template string) {
		c.publish(context.Background(), &publication{succeeding, nil, publishing, viaPublish}, template, "hello")
	},
}, {
	"publish that fails", "the same with error.type",
	func(c *config, template string) {
		c.publish(context.Background(), &publication{failing, nil, publishing, viaPublish}, template, "hello")
	},
}, {
	"loop body", "a message, and the duration of the body",
	func(c *config, template string) {
		m := &Message{cfg: c, Channel: template, template: template}
		m.within(context.Background(), func(context.Context, *Message) bool { return true })
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

// To record allocates nothing, for the first templates, with whatever comes of an
// operation, exemplars included: the spans are sampled.
func TestRecordingAllocatesNothing(t *testing.T) {
	tp := sdktrace.NewTracerProvider()
	t.Cleanup(func() { _ = tp.Shutdown(context.Background()) })
	ctx, span := tp.Tracer("caller").Start(context.Background(), "caller")
	defer span.End()
	server := serverAttributes("tcp", "localhost:6379")
	for name, mp := range map[string]metric.MeterProvider{
		"SDK": newSDK(t), "dropped": newSDK(t, dropAll), "no-op": metricnoop.NewMeterProvider(), "absent": nil,
	} {
		t.Run(name, func(t *testing.T) {
			c := newConfig(WithMeterProvider(mp))
			p := &PubSub{cfg: c, server: server}
			for i := range keptTemplates {
				s := &spanStart{template: "user." + strconv.Itoa(i), server: server}
				record := func() {
					for _, s.operation = range []*operation{publishing, spublishing, creating, processing} {
						for _, failure := range []attribute.KeyValue{{}, panicked, semconv.ErrorTypeOther} {
							m := c.measurement(s)
							m.begin(ctx)
							m.end(ctx, failure)
							m.count(ctx, failure)
						}
					}
					p.countReconnect()
					p.countError(subscription.ErrSilent)
				}
				// It runs once before what is counted.
				if got := testing.AllocsPerRun(3, record); got != 0 {
					t.Fatalf("%v allocations for template %d, want 0", got, i)
				}
			}
			if kept := *c.metrics().prepared.templates.Load(); name != "SDK" && (len(kept) != 1 || kept[""].Load() != nil) {
				t.Errorf("series are kept for %d templates, although nothing is recorded", len(kept))
			}
		})
	}
}

// What metrics add to a whole publish, and to a whole loop body, is nothing.
func TestMetricsAddNoAllocations(t *testing.T) {
	for _, spans := range []struct {
		name    string
		sampler sdktrace.Sampler
	}{{"sampled", sdktrace.AlwaysSample()}, {"unsampled", sdktrace.NeverSample()}} {
		tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(spans.sampler))
		t.Cleanup(func() { _ = tp.Shutdown(context.Background()) })
		for _, row := range whatIsMeasured {
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

// fewestAllocs is how many allocations f makes when it finds in the pools what it
// has put there: now and then it does not, with the race detector on purpose.
func fewestAllocs(f func()) float64 {
	fewest := testing.AllocsPerRun(1, f)
	for range 200 {
		fewest = min(fewest, testing.AllocsPerRun(1, f))
	}
	return fewest
}

// Which providers are in force is asked for each message.
func TestAskingForTheProvidersAllocatesNothing(t *testing.T) {
	for name, c := range map[string]*config{
		"global":   newConfig(),
		"pointers": newConfig(WithTracerProvider(sdktrace.NewTracerProvider()), WithMeterProvider(newSDK(t)), WithPropagators(w3c)),
		"structs":  newConfig(WithTracerProvider(tracenoop.NewTracerProvider()), WithMeterProvider(metricnoop.NewMeterProvider()), WithPropagators(propagation.Baggage{})),
	} {
		if got := testing.AllocsPerRun(100, func() {
			c.tracer()
			c.metrics()
			c.propagation()
		}); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

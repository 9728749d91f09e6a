// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
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

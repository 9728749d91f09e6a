// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/otlptranslator"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// recorded is a metric of this library, as Prometheus has it.
type recorded struct {
	histogram bool
	labels    map[string]bool
}

// recordedSeries makes the library record each of its metrics, with all attributes that each
// may have, and returns them by the names that Prometheus gives them when it gets them by OTLP.
func recordedSeries(t *testing.T) map[string]*recorded {
	t.Helper()
	meters := tracetest.NewMetrics(t)
	recordAll(t, meters)
	series := make(map[string]*recorded)
	names := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	for _, m := range meters.ByName(t) {
		s := &recorded{labels: make(map[string]bool)}
		kind := otlptranslator.MetricType(otlptranslator.MetricTypeMonotonicCounter)
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				s.add(t, p.Attributes)
			}
		case metricdata.Histogram[float64]:
			s.histogram, kind = true, otlptranslator.MetricTypeHistogram
			for _, p := range data.DataPoints {
				s.add(t, p.Attributes)
			}
		default:
			t.Fatalf("%s is a %T", m.Name, data)
		}
		name, err := names.Build(otlptranslator.Metric{Name: m.Name, Unit: m.Unit, Type: kind})
		if err != nil {
			t.Fatal(err)
		}
		series[name] = s
	}
	if len(series) != 9 {
		t.Errorf("%d metrics were recorded, want the 9 of this library", len(series))
	}
	return series
}

func (r *recorded) add(t *testing.T, attributes attribute.Set) {
	t.Helper()
	var labels otlptranslator.LabelNamer
	for _, a := range attributes.ToSlice() {
		label, err := labels.Build(string(a.Key))
		if err != nil {
			t.Fatal(err)
		}
		r.labels[label] = true
	}
}

// recordAll publishes, fails to publish, consumes, fails to consume, and loses a message and a
// connection.
func recordAll(t *testing.T, meters *tracetest.Metrics) {
	t.Helper()
	ctx, rdb := tracetest.Context(t), redistest.Start(t).Client()
	client := tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithErrorHandler(func(error) {}),
		tracedpubsub.WithDestinationTemplate(func(channel string) string { return channel }))
	sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
	for _, number := range []int{1, 3, 3} { // 2 is missing, and 3 comes twice
		message := fmt.Sprintf(`{"tracedpubsub":1,"ts":%d,"src":"a","seq":%d,"payload":""}`, time.Now().UnixMicro(), number)
		if err := rdb.Publish(ctx, "reports", message).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Publish(ctx, "reports", "last").Err(); err != nil {
		t.Fatal(err)
	}
	loop, stop := context.WithCancel(ctx)
	defer stop()
	_ = sub.Process(loop, func(_ context.Context, msg *tracedpubsub.Message) error {
		if msg.Payload == "last" {
			stop()
			return errors.New("a handler fails")
		}
		return nil
	})

	closed := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
	_ = closed.Close()
	client.PublishTo(ctx, closed, "reports", "never sent")

	tracetest.KillSubscriptions(t, rdb)
	tracetest.Eventually(t, "the connection is replaced, and the loss counted", func() bool {
		return meters.Total(t, tracetest.Reconnects) == 1 && meters.Total(t, tracetest.DeliveryLost) == 1
	})
}

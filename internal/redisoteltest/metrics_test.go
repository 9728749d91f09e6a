// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisoteltest

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	native "github.com/redis/go-redis/extra/redisotel-native/v9"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// publishing uses a client in ways that its metrics record. It is for one goroutine, as
// several would open a number of connections that differs from run to run.
func publishing(t *testing.T, rdb *redis.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fill := func(pipe redis.Pipeliner) error {
		pipe.Publish(ctx, "reports", "hello")
		return pipe.Set(ctx, "key", "value", 0).Err()
	}
	rdb.Publish(ctx, "reports", "hello")
	rdb.SPublish(ctx, "reports", "hello")
	rdb.Do(ctx, "publish", "reports", "hello")
	rdb.Do(ctx, "publish", "reports")                    // refused by Redis
	rdb.Publish(ctx, "reports", struct{ number int }{7}) // refused by go-redis
	_, _ = rdb.Pipelined(ctx, fill)
	_, _ = rdb.TxPipelined(ctx, fill)
	err := rdb.Watch(ctx, func(tx *redis.Tx) error {
		_, err := tx.TxPipelined(ctx, fill)
		return err
	}, "key")
	if err != nil {
		t.Fatal(err)
	}
}

// poolID matches the id that go-redis adds to the name of each pool, behind the port.
var poolID = regexp.MustCompile(`([:=][0-9]+)_[0-9a-f]+`)

// exported returns what an exporter gets: the series of each instrument with the sum of a
// counter or the number of measurements, without durations.
func exported(t *testing.T, reader sdkmetric.Reader) (series []string) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	add := func(m metricdata.Metrics, attributes attribute.Set, n int64) {
		if m.Unit == "ns" {
			n = -1
		}
		shown := poolID.ReplaceAllString(attributes.Encoded(attribute.DefaultEncoder()), "$1")
		series = append(series, fmt.Sprintf("%s %T of %s {%s}: %d", m.Name, m.Data, m.Unit, shown, n))
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m, p.Attributes, int64(p.Count))
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	slices.Sort(series)
	return series
}

// enable makes another library record what rdb does.
type enable func(t *testing.T, provider *sdkmetric.MeterProvider, rdb *redis.Client)

func enableRedisotel(t *testing.T, provider *sdkmetric.MeterProvider, rdb *redis.Client) {
	t.Helper()
	if err := redisotel.InstrumentMetrics(rdb, redisotel.WithMeterProvider(provider)); err != nil {
		t.Fatal(err)
	}
}

// enableNative applies to all clients, and to the pools of those that are made later.
func enableNative(t *testing.T, provider *sdkmetric.MeterProvider, _ *redis.Client) {
	t.Helper()
	instance := native.GetObservabilityInstance()
	if err := instance.Init(native.NewConfig().WithEnabled(true).WithMeterProvider(provider)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Shutdown() })
}

// With the hook other libraries export what they export without it, in either order.
func TestBesideMetrics(t *testing.T) {
	server := redistest.Start(t)
	hook := func(t *testing.T, _ *sdkmetric.MeterProvider, rdb *redis.Client) { newTracing(t).hook(t, rdb) }
	for _, row := range []struct {
		name, reason string
		enable       enable
		early        bool // before there is a client
		hookFirst    bool
		least        string // one of the series that are expected at least
	}{
		{"redisotel first", "its hook is around that of this library", enableRedisotel, false, false, "db.client.connections.use_time"},
		{"hook before redisotel", "its hook is within that of this library", enableRedisotel, false, true, "db.client.connections.use_time"},
		{"native metrics first", "as its documentation asks", enableNative, true, false, "db.client.operation.duration"},
		{"hook before native metrics", "they are for the whole process, and may be enabled at any time", enableNative, false, true, "db.client.operation.duration"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got [2][]string
			for i, hooked := range []bool{false, true} {
				t.Run(fmt.Sprintf("hooked %t", hooked), func(t *testing.T) {
					reader := sdkmetric.NewManualReader()
					provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
					t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
					var steps []enable
					if hooked {
						steps = append(steps, hook)
					}
					if row.early {
						row.enable(t, provider, nil)
					} else if row.hookFirst {
						steps = append(steps, row.enable)
					} else {
						steps = slices.Insert(steps, 0, row.enable)
					}
					rdb := server.Client()
					for _, step := range steps {
						step(t, provider, rdb)
					}
					publishing(t, rdb)
					got[i] = exported(t, reader)
				})
			}
			if !slices.Equal(got[1], got[0]) {
				t.Errorf("exported is\n%s, want as without the hook\n%s", strings.Join(got[1], "\n"), strings.Join(got[0], "\n"))
			}
			if !slices.ContainsFunc(got[0], func(s string) bool { return strings.HasPrefix(s, row.least+" ") }) {
				t.Errorf("exported is no %s: %v", row.least, got[0])
			}
			if t.Failed() {
				t.Log(row.reason)
			}
		})
	}
}

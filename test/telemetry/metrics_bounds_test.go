// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Channels are not attributes of metrics: any number of them is one series.
func TestChannelsAreNoSeries(t *testing.T) {
	const channels = 10_000
	rdb := redistest.Start(t).Client()
	ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
	client := tracedpubsub.Wrap(rdb, meters.Option())
	sub := tracetest.ReadySub(t, client.PSubscribe(ctx, "user.*"))
	for i := range channels {
		channel := "user." + strconv.Itoa(i)
		tracetest.AssertSent(t, client.Publish(ctx, channel, "hello"))
		for range sub.Messages(ctx) {
			break
		}
	}
	for name, want := range map[string]tracetest.Point{
		tracetest.OperationDuration: tracetest.MessagePoint(channels, rdb, "publish"),
		tracetest.SentMessages:      tracetest.MessagePoint(channels, rdb, "publish"),
		tracetest.ConsumedMessages:  tracetest.MessagePoint(channels, rdb, "process", tracetest.Template("user.*")),
		tracetest.ProcessDuration:   tracetest.MessagePoint(channels, rdb, "process", tracetest.Template("user.*")),
	} {
		meters.AssertPoints(t, name, want)
	}
}

// Every template is recorded, also beyond the number that the library caches: the user says
// that they are few.
func TestManyTemplates(t *testing.T) {
	const templates, rounds = 300, 2
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
		client := tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithDestinationTemplate(func(channel string) string { return channel }))
		var published, processed []tracetest.Point
		for i := range templates {
			template := "report." + strconv.Itoa(i)
			for range rounds {
				tracetest.AssertSent(t, client.Publish(ctx, template, "hello"))
				_, span := client.FromRedis(&redis.Message{Channel: template, Payload: tracetest.ForeignEnvelope}).Start(ctx)
				span.End()
			}
			published = append(published, tracetest.MessagePoint(rounds, rdb, "publish", tracetest.Template(template)))
			processed = append(processed, tracetest.MessagePoint(rounds, rdb, "process", tracetest.Template(template)))
		}
		meters.AssertPoints(t, tracetest.OperationDuration, published...)
		meters.AssertPoints(t, tracetest.SentMessages, published...)
		meters.AssertPoints(t, tracetest.ConsumedMessages, processed...)
	})
}

// A server may reply with any error. Beyond a bound of error types the others are one
// series.
func TestErrorTypesAreBounded(t *testing.T) {
	const answers, bound = 500, 64
	ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t, sdkmetric.WithCardinalityLimit(0))
	tracetest.SetGlobalMeter(t, meters)
	for i := range answers {
		tracedpubsub.Publish(ctx, tracetest.FailingPublisher{Err: tracetest.ServerError(fmt.Sprintf("E%d no", i))}, "reports", "hello")
	}
	tracedpubsub.Publish(ctx, tracetest.FailingPublisher{Err: tracetest.ServerError("MOVED 1 a:1")}, "reports", "hello") // is still recorded
	tracedpubsub.Publish(ctx, tracetest.FailingPublisher{Err: redis.ErrClosed}, "reports", "hello")
	for _, name := range []string{tracetest.OperationDuration, tracetest.SentMessages} {
		found := make(map[string]int64)
		for _, p := range meters.Points(t, name) {
			kind, _ := p.Attributes.Value("error.type")
			found[kind.AsString()] = p.N
		}
		if n := len(found); n > bound+1 {
			t.Errorf("%s has %d values of error.type, want %d and _OTHER at most", name, n, bound)
		}
		if found["E0"] != 1 || found["MOVED"] != 1 || found["connection"] != 1 || found["_OTHER"] < answers-bound {
			t.Errorf("%s has %v", name, found)
		}
		if got := meters.Total(t, name); got != answers+2 {
			t.Errorf("%s is %d in all, want %d", name, got, answers+2)
		}
	}
}

// A Client is safe for concurrent use, also by goroutines that use a new template or error
// type at the same time.
func TestMetricsOfConcurrentUse(t *testing.T) {
	const workers, templates = 8, 300
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
		client := tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithDestinationTemplate(func(channel string) string { return channel }))
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := range templates {
					channel := strconv.Itoa(i)
					_, span := client.FromRedis(&redis.Message{Channel: channel, Payload: "hello"}).Start(ctx)
					span.End()
					client.PublishTo(ctx, tracetest.FailingPublisher{Err: tracetest.ServerError(fmt.Sprintf("E%d no", i))}, channel, "hello")
				}
			})
		}
		m := client.FromRedis(&redis.Message{Channel: "shared", Payload: "hello"})
		for range workers {
			wg.Go(func() {
				_, span := m.Start(ctx)
				span.End()
			})
		}
		wg.Wait()
		want := []tracetest.Point{tracetest.MessagePoint(1, rdb, "process", tracetest.Template("shared"))}
		for i := range templates {
			want = append(want, tracetest.MessagePoint(workers, rdb, "process", tracetest.Template(strconv.Itoa(i))))
		}
		meters.AssertPoints(t, tracetest.ConsumedMessages, want...)
		if got := meters.Total(t, tracetest.SentMessages); got != workers*templates {
			t.Errorf("%s is %d in all, want %d", tracetest.SentMessages, got, workers*templates)
		}
	})
}

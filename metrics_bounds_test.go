// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// Channels may be without number: they are one series for each instrument.
func TestChannelsAreNoSeries(t *testing.T) {
	const channels = 10_000
	rdb := redistest.Start(t).Client()
	ctx, meters := testContext(t), newMetering(t)
	client := tracedpubsub.Wrap(rdb, meters.option())
	sub := readySub(t, client.PSubscribe(ctx, "user.*"))
	for i := range channels {
		channel := "user." + strconv.Itoa(i)
		assertSent(t, client.Publish(ctx, channel, "hello"))
		for range sub.Messages(ctx) {
			break
		}
	}
	for name, want := range map[string]point{
		operationDuration: seriesOf(channels, rdb, "publish"),
		sentMessages:      seriesOf(channels, rdb, "publish"),
		consumedMessages:  seriesOf(channels, rdb, "process", templated("user.*")),
		processDuration:   seriesOf(channels, rdb, "process", templated("user.*")),
	} {
		meters.assertPoints(t, name, want)
	}
}

// What is kept of templates is bounded; what is recorded of them is not: the user
// has said that they are few.
func TestManyTemplates(t *testing.T) {
	const templates, rounds = 300, 2
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := testContext(t), newMetering(t)
		client := tracedpubsub.Wrap(rdb, meters.option(), tracedpubsub.WithDestinationTemplate(func(channel string) string { return channel }))
		var published, processed []point
		for i := range templates {
			template := "report." + strconv.Itoa(i)
			for range rounds {
				assertSent(t, client.Publish(ctx, template, "hello"))
				_, span := client.FromRedis(&redis.Message{Channel: template, Payload: foreignEnvelope}).Start(ctx)
				span.End()
			}
			published = append(published, seriesOf(rounds, rdb, "publish", templated(template)))
			processed = append(processed, seriesOf(rounds, rdb, "process", templated(template)))
		}
		meters.assertPoints(t, operationDuration, published...)
		meters.assertPoints(t, sentMessages, published...)
		meters.assertPoints(t, consumedMessages, processed...)
	})
}

// Whoever answers may say anything: beyond a bound, all of it is one series.
func TestErrorTypesAreBounded(t *testing.T) {
	const answers, bound = 500, 64
	ctx, meters := testContext(t), newMetering(t, sdkmetric.WithCardinalityLimit(0))
	setGlobalMeter(t, meters)
	for i := range answers {
		tracedpubsub.Publish(ctx, answering{answer(fmt.Sprintf("E%d no", i))}, "reports", "hello")
	}
	tracedpubsub.Publish(ctx, answering{answer("MOVED 1 a:1")}, "reports", "hello") // is not crowded out
	tracedpubsub.Publish(ctx, answering{redis.ErrClosed}, "reports", "hello")
	for _, name := range []string{operationDuration, sentMessages} {
		found := make(map[string]int64)
		for _, p := range meters.points(t, name) {
			kind, _ := p.attributes.Value("error.type")
			found[kind.AsString()] = p.n
		}
		if n := len(found); n > bound+1 {
			t.Errorf("%s has %d values of error.type, want %d and _OTHER at most", name, n, bound)
		}
		if found["E0"] != 1 || found["MOVED"] != 1 || found["connection"] != 1 || found["_OTHER"] < answers-bound {
			t.Errorf("%s has %v", name, found)
		}
		if got := meters.total(t, name); got != answers+2 {
			t.Errorf("%s is %d in all, want %d", name, got, answers+2)
		}
	}
}

// One Client serves many goroutines: they meet at templates and errors that are
// new to it.
func TestMetricsOfConcurrentUse(t *testing.T) {
	const workers, templates = 8, 300
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := testContext(t), newMetering(t)
		client := tracedpubsub.Wrap(rdb, meters.option(), tracedpubsub.WithDestinationTemplate(func(channel string) string { return channel }))
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := range templates {
					channel := strconv.Itoa(i)
					_, span := client.FromRedis(&redis.Message{Channel: channel, Payload: "hello"}).Start(ctx)
					span.End()
					client.PublishTo(ctx, answering{answer(fmt.Sprintf("E%d no", i))}, channel, "hello")
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
		want := []point{seriesOf(1, rdb, "process", templated("shared"))}
		for i := range templates {
			want = append(want, seriesOf(workers, rdb, "process", templated(strconv.Itoa(i))))
		}
		meters.assertPoints(t, consumedMessages, want...)
		if got := meters.total(t, sentMessages); got != workers*templates {
			t.Errorf("%s is %d in all, want %d", sentMessages, got, workers*templates)
		}
	})
}

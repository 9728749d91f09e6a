// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// A message is counted once, in whichever way it is consumed; how long it takes is
// known where the library runs what the user does with it.
func TestMetricsOfConsumers(t *testing.T) {
	timed := map[string]bool{"Messages": true, "Process": true}
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, w := range waysToConsume {
			t.Run(w.name, func(t *testing.T) {
				ctx, meters := testContext(t), newMetering(t)
				client := tracedpubsub.Wrap(rdb, meters.option())
				s := &receiving{client: client, sub: readySub(t, client.Subscribe(ctx, w.name)), raw: readyRaw(t, rdb.Subscribe(ctx, w.name))}
				const n = 3
				for i := range n {
					assertSent(t, rdb.Publish(ctx, w.name, "hello"))
					w.consume(t, ctx, s, func(ctx context.Context, m *tracedpubsub.Message) {
						if got := meters.total(t, consumedMessages); got != int64(i+1) {
							t.Errorf("%d messages are counted in the midst of number %d", got, i+1)
						}
						_, span := m.Start(ctx) // a span of its own for a second try
						span.End()
					})
				}
				want := seriesOf(n, rdb, "process")
				meters.assertPoints(t, consumedMessages, want)
				if timed[w.name] {
					meters.assertOnly(t, consumedMessages, processDuration)
					meters.assertPoints(t, processDuration, want)
				} else {
					meters.assertOnly(t, consumedMessages)
				}
			})
		}
	})
}

// What is read ahead, and never handed over, was not consumed.
func TestMessagesThatNobodyTakesAreNotCounted(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := testContext(t), newMetering(t)
		sub := readySub(t, tracedpubsub.Wrap(rdb, meters.option()).Subscribe(ctx, "reports"))
		for range 3 {
			assertSent(t, rdb.Publish(ctx, "reports", "hello"))
		}
		eventually(t, "three messages are read ahead", func() bool { return len(sub.Channel()) == 3 })
		for range sub.Messages(ctx) {
			break
		}
		_ = sub.Close()
		meters.assertPoints(t, consumedMessages, seriesOf(1, rdb, "process"))
	})
}

func TestMetricsOfChannelsThatAreLeftOut(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, w := range waysToConsume {
			t.Run(w.name, func(t *testing.T) {
				ctx, meters := testContext(t), newMetering(t)
				client := tracedpubsub.Wrap(rdb, meters.option(), tracedpubsub.WithFilter(func(string) bool { return false }))
				s := &receiving{client: client, sub: readySub(t, client.Subscribe(ctx, w.name)), raw: readyRaw(t, rdb.Subscribe(ctx, w.name))}
				assertSent(t, client.Publish(ctx, w.name, "hello"))
				w.consume(t, ctx, s, func(context.Context, *tracedpubsub.Message) {})
				meters.assertOnly(t)
			})
		}
	})
}

func TestMetricsOfEndings(t *testing.T) {
	rdb := redistest.Start(t).Client()
	for _, e := range loopEndings {
		t.Run(e.name, func(t *testing.T) {
			ctx, meters := testContext(t), newMetering(t)
			sub := readySub(t, tracedpubsub.Wrap(rdb, meters.option()).Subscribe(ctx, e.name))
			assertSent(t, rdb.Publish(ctx, e.name, "hello"))
			endingOf(func() { e.loop(ctx, sub) })
			want := seriesOf(1, rdb, "process")
			meters.assertPoints(t, consumedMessages, want) // it was delivered, whatever came of it
			if e.errorType != "" {
				want = seriesOf(1, rdb, "process", errorType(e.errorType))
			}
			meters.assertPoints(t, processDuration, want)
		})
	}
}

func TestMetricsOfHandlerErrors(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := testContext(t), newMetering(t)
		sub := readySub(t, tracedpubsub.Wrap(rdb, meters.option()).Subscribe(ctx, "reports"))
		results := []error{errHandler, handlerError{}, nil, handlerError{}}
		for range results {
			assertSent(t, rdb.Publish(ctx, "reports", "hello"))
		}
		ctx, cancel := context.WithCancel(ctx)
		handled := 0
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error {
			if handled++; handled == len(results) {
				cancel()
			}
			return results[handled-1]
		})
		meters.assertPoints(t, consumedMessages, seriesOf(4, rdb, "process"))
		meters.assertPoints(t, processDuration, seriesOf(1, rdb, "process"),
			seriesOf(1, rdb, "process", errorType(plainErrorType)), seriesOf(2, rdb, "process", errorType(handlerErrorType)))
	})
}

// A duration is as long as what it measures, in seconds: longer than what is in
// it, shorter than what is around it.
func TestDurations(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := testContext(t), newMetering(t)
		own := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
		t.Cleanup(func() { _ = own.Close() })
		var sending time.Duration
		own.AddHook(timing(&sending))
		client := tracedpubsub.Wrap(own, meters.option())
		sub := readySub(t, client.Subscribe(ctx, "reports"))

		began := time.Now()
		assertSent(t, client.Publish(ctx, "reports", "hello"))
		assertBetween(t, operationDuration, meters, sending, time.Since(began))

		began = time.Now()
		var handling time.Duration
		for range sub.Messages(ctx) {
			inside := time.Now()
			for range 20 {
				assertSent(t, rdb.Publish(ctx, "elsewhere", "hello"))
			}
			handling = time.Since(inside)
			break
		}
		assertBetween(t, processDuration, meters, handling, time.Since(began))
	})
}

// timing is a hook that takes the time of the last command.
func timing(took *time.Duration) redis.Hook { return timingHook{took} }

type timingHook struct{ took *time.Duration }

func (h timingHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h timingHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		began := time.Now()
		err := next(ctx, cmd)
		*h.took = time.Since(began)
		return err
	}
}

func (h timingHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func assertBetween(t *testing.T, name string, meters *metering, least, most time.Duration) {
	t.Helper()
	points := meters.points(t, name)
	if len(points) != 1 || points[0].n != 1 {
		t.Fatalf("%s has %v, want one duration", name, points)
	}
	if s := points[0].seconds; s < least.Seconds() || s > most.Seconds() {
		t.Errorf("%s is %v s, want between %v and %v", name, s, least, most)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A message is counted once, no matter how it is consumed. Messages and Process, which run
// the code of the user, record the duration as well.
func TestMetricsOfConsumers(t *testing.T) {
	timed := map[string]bool{"Messages": true, "Process": true}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, w := range tracetest.WaysToReceive {
			t.Run(w.Name, func(t *testing.T) {
				ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
				client := tracedpubsub.Wrap(rdb, meters.Option())
				s := &tracetest.Source{Client: client, Sub: tracetest.ReadySub(t, client.Subscribe(ctx, w.Name)), Raw: tracetest.ReadyRaw(t, rdb.Subscribe(ctx, w.Name))}
				const n = 3
				for i := range n {
					tracetest.AssertSent(t, rdb.Publish(ctx, w.Name, "hello"))
					w.Receive(t, ctx, s, func(ctx context.Context, m *tracedpubsub.Message) {
						if got := meters.Total(t, tracetest.ConsumedMessages); got != int64(i+1) {
							t.Errorf("%d messages are counted while number %d is handled", got, i+1)
						}
						_, span := m.Start(ctx) // a second span for the message
						span.End()
					})
				}
				want := tracetest.MessagePoint(n, rdb, "process")
				meters.AssertPoints(t, tracetest.ConsumedMessages, want)
				if timed[w.Name] {
					meters.AssertOnly(t, tracetest.ConsumedMessages, tracetest.ProcessDuration)
					meters.AssertPoints(t, tracetest.ProcessDuration, want)
				} else {
					meters.AssertOnly(t, tracetest.ConsumedMessages)
				}
			})
		}
	})
}

// Messages that are read ahead and not delivered are not counted.
func TestMessagesThatNobodyTakesAreNotCounted(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, meters.Option()).Subscribe(ctx, "reports"))
		for range 3 {
			tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		}
		tracetest.EventuallyWithin(t, 2*tracetest.Patience, "three messages are read ahead", func() bool { return len(sub.Channel()) == 3 })
		for range sub.Messages(ctx) {
			break
		}
		_ = sub.Close()
		meters.AssertPoints(t, tracetest.ConsumedMessages, tracetest.MessagePoint(1, rdb, "process"))
	})
}

func TestMetricsOfChannelsThatAreLeftOut(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, w := range tracetest.WaysToReceive {
			t.Run(w.Name, func(t *testing.T) {
				ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
				client := tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithFilter(func(string) bool { return false }))
				s := &tracetest.Source{Client: client, Sub: tracetest.ReadySub(t, client.Subscribe(ctx, w.Name)), Raw: tracetest.ReadyRaw(t, rdb.Subscribe(ctx, w.Name))}
				tracetest.AssertSent(t, client.Publish(ctx, w.Name, "hello"))
				w.Receive(t, ctx, s, func(context.Context, *tracedpubsub.Message) {})
				meters.AssertOnly(t)
			})
		}
	})
}

func TestMetricsOfEndings(t *testing.T) {
	rdb := redistest.Start(t).Client()
	for _, e := range tracetest.LoopEndings {
		t.Run(e.Name, func(t *testing.T) {
			ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
			sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, meters.Option()).Subscribe(ctx, e.Name))
			tracetest.AssertSent(t, rdb.Publish(ctx, e.Name, "hello"))
			tracetest.EndingOf(func() { e.Loop(ctx, sub) })
			want := tracetest.MessagePoint(1, rdb, "process")
			meters.AssertPoints(t, tracetest.ConsumedMessages, want) // it was delivered, no matter how the loop ended
			if e.ErrorType != "" {
				want = tracetest.MessagePoint(1, rdb, "process", tracetest.ErrorType(e.ErrorType))
			}
			meters.AssertPoints(t, tracetest.ProcessDuration, want)
		})
	}
}

func TestMetricsOfHandlerErrors(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, meters.Option()).Subscribe(ctx, "reports"))
		results := []error{tracetest.ErrTest, tracetest.TypedError{}, nil, tracetest.TypedError{}}
		for range results {
			tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		}
		ctx, cancel := context.WithCancel(ctx)
		handled := 0
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error {
			if handled++; handled == len(results) {
				cancel()
			}
			return results[handled-1]
		})
		meters.AssertPoints(t, tracetest.ConsumedMessages, tracetest.MessagePoint(4, rdb, "process"))
		meters.AssertPoints(t, tracetest.ProcessDuration, tracetest.MessagePoint(1, rdb, "process"),
			tracetest.MessagePoint(1, rdb, "process", tracetest.ErrorType(tracetest.PlainErrorType)), tracetest.MessagePoint(2, rdb, "process", tracetest.ErrorType(tracetest.TypedErrorType)))
	})
}

// A duration is in seconds. It is longer than what happens within it, and shorter than what
// happens around it.
func TestDurations(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
		own := tracetest.OtherClient(t, rdb)
		var sending time.Duration
		own.AddHook(timing(&sending))
		client := tracedpubsub.Wrap(own, meters.Option())
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))

		began := time.Now()
		tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
		assertBetween(t, tracetest.OperationDuration, meters, sending, time.Since(began))

		began = time.Now()
		var handling time.Duration
		for range sub.Messages(ctx) {
			inside := time.Now()
			for range 20 {
				tracetest.AssertSent(t, rdb.Publish(ctx, "elsewhere", "hello"))
			}
			handling = time.Since(inside)
			break
		}
		assertBetween(t, tracetest.ProcessDuration, meters, handling, time.Since(began))
	})
}

// timing returns a hook that measures the last command.
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

func assertBetween(t *testing.T, name string, meters *tracetest.Metrics, least, most time.Duration) {
	t.Helper()
	points := meters.Points(t, name)
	if len(points) != 1 || points[0].N != 1 {
		t.Fatalf("%s has %v, want one duration", name, points)
	}
	if s := points[0].Seconds; s < least.Seconds() || s > most.Seconds() {
		t.Errorf("%s is %v s, want between %v and %v", name, s, least, most)
	}
}

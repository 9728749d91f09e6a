// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// withTemplate returns p with a template among its attributes.
func withTemplate(p tracetest.Point, template string) tracetest.Point {
	p.Attributes = attribute.NewSet(append(slices.Clone(p.Attributes.ToSlice()), tracetest.Template(template))...)
	return p
}

// Where nothing more comes, what is missing is lost after five seconds, and not before.
func TestLossWhereNothingMoreComes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSubject(t, server.Addr(), tracedpubsub.WithDestinationTemplate(func(string) string { return "{any}" }))
	sub := s.ReadySubscription(t, "a", "b")
	publish(t, s.RDB, "a", numbered("x", 1, 4)...)
	publish(t, s.RDB, "b", numbered("x", 1, 3, 2)...)
	assertSkipped(t, sub, 0, 2, 0, 1, 0)
	began := time.Now()
	tracetest.Eventually(t, "the missing messages are lost", func() bool { return s.meters.Total(t, tracetest.DeliveryLost) > 0 })
	if took := time.Since(began); took < 5*time.Second-100*time.Millisecond {
		t.Errorf("they were lost after %v, want 5 s", took)
	}
	s.meters.AssertPoints(t, tracetest.DeliveryLost, withTemplate(tracetest.SubscriptionPoint(2, s.RDB), "{any}"))
	publish(t, s.RDB, "a", numbered("x", 2)...)
	assertSkipped(t, sub, 0)
	s.assertCounted(t, 2, 0)
}

// While no consumer takes messages, nothing is read, and what is missing may wait in the
// socket. It is no loss.
func TestNoLossBehindASlowConsumer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSubject(t, server.Addr(), tracedpubsub.WithChannelSize(1))
	sub := s.ReadySubscription(t, "a")
	publish(t, s.RDB, "a", numbered("x", append(append([]int64{1, 3}, upTo(4, 63)...), 2)...)...)
	messages := sub.Channel()
	tracetest.LetTimePass(6 * time.Second)
	for i := range 63 {
		if m := <-messages; m.Payload != "hello" {
			t.Errorf("message %d is %q", i, m.Payload)
		}
	}
	s.assertJudged(t, sub, "a", 0, 0)
}

// After Close nothing is counted any more: what is missing may have been on its way.
func TestNoLossAfterClose(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, end := range map[string]func(context.Context, *tracedpubsub.PubSub) error{
		"Close":    func(_ context.Context, sub *tracedpubsub.PubSub) error { return sub.Close() },
		"Shutdown": func(ctx context.Context, sub *tracedpubsub.PubSub) error { return sub.Shutdown(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, server.Addr())
			sub := s.ReadySubscription(t, name)
			publish(t, s.RDB, name, numbered("x", 1, 3)...)
			assertSkipped(t, sub, 0, 1)
			if err := end(tracetest.Context(t), sub); err != nil {
				t.Fatal(err)
			}
			tracetest.LetTimePass(6 * time.Second)
			s.assertCounted(t, 0, 0)
		})
	}
}

// PublishedAt is the time at which the publisher says that it has published. The delay lasts
// until the message is handed over, however it is consumed.
func TestDelay(t *testing.T) {
	rdb := redistest.Start(t).Client()
	for _, w := range tracetest.WaysToReceive {
		t.Run(w.Name, func(t *testing.T) {
			ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
			client := tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithAccounting())
			s := &tracetest.Source{Client: client, Sub: tracetest.ReadySub(t, client.Subscribe(ctx, w.Name)), Raw: tracetest.ReadyRaw(t, rdb.Subscribe(ctx, w.Name))}
			began := time.Now()
			tracetest.AssertSent(t, client.Publish(ctx, w.Name, "hello"))
			if !w.FromRaw {
				tracetest.Eventually(t, "the message is read", func() bool { return len(s.Sub.Channel()) == 1 })
			}
			const waiting = 200 * time.Millisecond
			tracetest.LetTimePass(waiting)
			w.Receive(t, ctx, s, func(ctx context.Context, m *tracedpubsub.Message) {
				if m.PublishedAt.Before(began.Truncate(time.Microsecond)) || m.PublishedAt.After(began.Add(tracetest.Patience)) {
					t.Errorf("published at %v, want a time after %v", m.PublishedAt, began)
				}
				_, span := m.Start(ctx) // a second span for the message
				span.End()
			})
			points := meters.Points(t, tracetest.DeliveryDelay)
			if len(points) != 1 || points[0].N != 1 {
				t.Fatalf("the delays are %v, want one", points)
			}
			if s := points[0].Seconds; s < waiting.Seconds() || s > time.Since(began).Seconds() {
				t.Errorf("the delay is %v s, want between %v and %v", s, waiting, time.Since(began))
			}
			meters.AssertPoints(t, tracetest.DeliveryDelay, tracetest.SubscriptionPoint(1, rdb))
		})
	}
}

// Where the clock of the publisher is ahead, the delay is 0.
func TestDelayWithAClockAhead(t *testing.T) {
	server := redistest.Start(t)
	s := newSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	ahead := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	publish(t, s.RDB, "a", fmt.Sprintf(`{"tracedpubsub":1,"ts":%d,"src":"x","seq":1,"payload":"hello"}`, ahead.UnixMicro()))
	for _, m := range sub.Messages(tracetest.Context(t)) {
		if !m.PublishedAt.Equal(ahead) {
			t.Errorf("published at %v, want %v", m.PublishedAt, ahead)
		}
		break
	}
	if points := s.meters.Points(t, tracetest.DeliveryDelay); len(points) != 1 || points[0].Seconds != 0 {
		t.Errorf("the delays are %v, want one of 0 s", points)
	}
}

// A consumer span says what was skipped, if anything.
func TestSkippedOnTheSpan(t *testing.T) {
	server := redistest.Start(t)
	s := newSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	publish(t, s.RDB, "a", numbered("x", 1, 2, 5)...)
	n := 0
	for range sub.Messages(tracetest.Context(t)) {
		if n++; n == 3 {
			break
		}
	}
	for i, span := range s.Spans.Spans(t, 3) {
		want := tracetest.MessagingOn(s.RDB, "process", "a")
		if i == 2 {
			want = append(want, attribute.Int("tracedpubsub.delivery.skipped", 2))
		}
		tracetest.AssertAttributes(t, span, want...)
	}
}

// Messages that others have received have no subscription that could count.
func TestMessagesOfOthersAreNotCounted(t *testing.T) {
	meters := tracetest.NewMetrics(t)
	for _, n := range []int64{1, 500, 500} {
		m := tracedpubsub.FromRedis(&redis.Message{Channel: "a", Payload: envelope("x", n)}, meters.Option())
		if m.Skipped != 0 || m.PublishedAt.IsZero() {
			t.Errorf("skipped %d, published at %v, want none and a time", m.Skipped, m.PublishedAt)
		}
	}
	meters.AssertOnly(t)
}

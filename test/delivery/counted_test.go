// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// envelope returns a message as a publisher in any language may write it.
func envelope(source string, number int64) string {
	return fmt.Sprintf(`{"tracedpubsub":1,"ts":%d,"src":%q,"seq":%d,"payload":"hello"}`, time.Now().UnixMicro(), source, number)
}

// subject is a subscriber that is under test, with what it has recorded.
type subject struct {
	*tracetest.Subject
	meters *tracetest.Metrics
}

func newSubject(t *testing.T, addr string, opts ...tracedpubsub.Option) *subject {
	t.Helper()
	meters := tracetest.NewMetrics(t)
	return &subject{tracetest.NewSubject(t, addr, append(opts, meters.Option())...), meters}
}

// assertJudged asserts what is counted when everything that is missing by now is lost. It waits
// for a gap that begins last: when that is lost, so is every other.
func (s *subject) assertJudged(t *testing.T, sub *tracedpubsub.PubSub, channel string, lost, duplicates int64) {
	t.Helper()
	const gap = 1_000_000
	publish(t, s.RDB, channel, numbered("the last gap", 1, gap+2)...)
	assertSkipped(t, sub, 0, gap)
	tracetest.Eventually(t, "the last gap is lost", func() bool { return s.meters.Total(t, tracetest.DeliveryLost) >= gap })
	s.assertCounted(t, gap+lost, duplicates)
}

func (s *subject) assertCounted(t *testing.T, lost, duplicates int64) {
	t.Helper()
	if got := s.meters.Total(t, tracetest.DeliveryLost); got != lost {
		t.Errorf("%d messages are counted as lost, want %d", got, lost)
	}
	if got := s.meters.Total(t, tracetest.DeliveryDuplicates); got != duplicates {
		t.Errorf("%d messages are counted as duplicates, want %d", got, duplicates)
	}
}

// assertSkipped receives a message for each number in want, which it is to have skipped.
func assertSkipped(t *testing.T, sub *tracedpubsub.PubSub, want ...int64) {
	t.Helper()
	for i, skipped := range want {
		if m := tracetest.NextMessage(t, sub); m.Skipped != skipped || m.Payload != "hello" {
			t.Errorf("message %d is %q and has skipped %d, want %d", i, m.Payload, m.Skipped, skipped)
		}
	}
}

func publish(t *testing.T, rdb *redis.Client, channel string, messages ...string) {
	t.Helper()
	tracetest.PublishRaw(t, rdb, channel, messages...)
}

func numbered(source string, numbers ...int64) (messages []string) {
	for _, n := range numbers {
		messages = append(messages, envelope(source, n))
	}
	return messages
}

func upTo(first, last int64) (numbers []int64) {
	for n := first; n <= last; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

// What a subscriber tells from the numbers of its messages.
func TestCounting(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb := server.Client()
	odd := func(members string) string { return `{"tracedpubsub":1,` + members + `,"payload":"hello"}` }
	for _, tt := range []struct {
		name, reason     string
		messages         []string
		skipped          []int64 // 0 for those behind the last one
		lost, duplicates int64
	}{
		{"in order", "nothing is missing", numbered("a", upTo(7, 200)...), nil, 0, 0},
		{"out of order", "that is no loss", numbered("a", 1, 3, 2, 6, 4, 5), []int64{0, 1, 0, 2}, 0, 0},
		{"overtaken by many", "that is no loss either", numbered("a", append(append([]int64{1}, upTo(3, 200)...), 2)...), []int64{0, 1}, 0, 0},
		{"loss", "two are missing, then none", numbered("a", append([]int64{1, 4}, upTo(5, 100)...)...), []int64{0, 2}, 2, 0},
		{"two losses", "each counts", numbered("a", 1, 4, 5, 10), []int64{0, 2, 0, 4}, 6, 0},
		{"duplicates", "each that comes again, however late", numbered("a", append(upTo(1, 100), 100, 99, 1)...), nil, 0, 3},
		{"two publishers", "each has its own numbers", append(numbered("a", upTo(1, 100)...), append(numbered("b", 1, 3, 2), numbered("a", 101)...)...), append(make([]int64, 101), 1), 0, 0},
		{"a restart", "a new source begins anew", append(numbered("a", upTo(1, 100)...), numbered("b", 1, 2)...), nil, 0, 0},
		{"a mixed fleet", "messages without numbers count for nothing", append(numbered("a", 1), append([]string{odd(`"x":"1"`), odd(`"x":"2"`)}, numbered("a", 2)...)...), nil, 0, 0},
		{"odd values", "they are ignored, and the messages are delivered", append(numbered("a", 1), odd(`"ts":1,"src":"a","seq":-5`), odd(`"ts":1,"src":"a","seq":5.5`),
			odd(`"ts":1,"src":"a","seq":"5"`), odd(`"ts":1,"src":"","seq":5`), odd(`"src":"a","seq":5`), odd(`"ts":1,"src":"a","seq":5,"seq":5`), odd(`"ts":1,"src":"a","seq":9007199254740993`)), nil, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSubject(t, server.Addr())
			sub := s.ReadySubscription(t, tt.name)
			publish(t, rdb, tt.name, tt.messages...)
			assertSkipped(t, sub, append(tt.skipped, make([]int64, len(tt.messages)-len(tt.skipped))...)...)
			s.assertJudged(t, sub, tt.name, tt.lost, tt.duplicates)
			s.Reports.AssertNone(t)
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

// A message that is received for a channel and for a pattern is no duplicate. Loss is counted
// for both, with the pattern as the template.
func TestChannelAndPatternAreApart(t *testing.T) {
	t.Parallel()
	ctx, server := tracetest.Context(t), redistest.Start(t)
	s := newSubject(t, server.Addr())
	sub := s.Subscription(t, "room.1")
	if err := sub.PSubscribe(ctx, "room.*"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	publish(t, s.RDB, "room.1", numbered("a", 1, 3, 4)...)
	assertSkipped(t, sub, 0, 0, 1, 1, 0, 0)
	tracetest.Eventually(t, "the missing messages are lost", func() bool { return s.meters.Total(t, tracetest.DeliveryLost) >= 2 })
	s.assertCounted(t, 2, 0)
	s.meters.AssertPoints(t, tracetest.DeliveryLost, tracetest.SubscriptionPoint(1, s.RDB), withTemplate(tracetest.SubscriptionPoint(1, s.RDB), "room.*"))
}

// The publisher numbers a channel and a sharded channel of the same name apart, so that a
// subscriber to both counts neither twice.
func TestShardedChannelsAreApart(t *testing.T) {
	ctx, server := tracetest.Context(t), redistest.Start(t)
	s := newSubject(t, server.Addr(), tracedpubsub.WithAccounting())
	sub := s.Subscription(t, "a")
	if err := sub.SSubscribe(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	for range 3 {
		tracetest.AssertSent(t, s.Publish(ctx, "a", "hello"))
		tracetest.AssertSent(t, s.SPublish(ctx, "a", "hello"))
	}
	assertSkipped(t, sub, make([]int64, 6)...)
	s.assertCounted(t, 0, 0) // nothing was skipped
}

// What is published while the connection is lost is skipped by the first message after it,
// and lost, to the number.
func TestAnOutageIsCounted(t *testing.T) {
	t.Parallel()
	ctx, server := tracetest.Context(t), redistest.Start(t)
	s := newSubject(t, server.Addr(), tracedpubsub.WithAccounting())
	sub := s.ReadySubscription(t, "a")
	tracetest.AssertSent(t, s.Publish(ctx, "a", "hello"))
	assertSkipped(t, sub, 0)
	tracetest.KillSubscriptions(t, s.RDB)
	missed, received := int64(0), int64(0)
	for received < 3 {
		if n, err := s.Publish(ctx, "a", "hello").Result(); err != nil {
			t.Fatal(err)
		} else if n == 0 {
			missed++
			continue
		}
		received++
	}
	for i := range received {
		if got, want := tracetest.NextMessage(t, sub).Skipped, missed; i == 0 && got != want || i > 0 && got != 0 {
			t.Errorf("message %d has skipped %d; %d were missed", i, got, missed)
		}
	}
	s.assertJudged(t, sub, "a", missed, 0)
}

// A channel that the subscriber's filter leaves out is not looked into.
func TestAFilteredChannelIsNotCounted(t *testing.T) {
	server := redistest.Start(t)
	s := newSubject(t, server.Addr(), tracedpubsub.WithFilter(func(string) bool { return false }))
	sub := s.ReadySubscription(t, "a")
	messages := numbered("x", 1, 500, 500)
	publish(t, s.RDB, "a", messages...)
	for _, want := range messages {
		if m := tracetest.NextMessage(t, sub); m.Payload != want || m.Skipped != 0 || !m.PublishedAt.IsZero() {
			t.Errorf("got %+v, want the message as it was published", m)
		}
	}
	s.meters.AssertOnly(t)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// soaker is a subscription of the soak. It counts messages and does not keep them.
type soaker struct {
	name, reported string
	receives       func(n int64) bool
	sent           *soakTimes

	rdb        redis.UniversalClient
	sub        *tracedpubsub.PubSub
	reports    *tracetest.ReportLog
	deliveries *deliveries
	spans      spanCount
	loop       sync.WaitGroup
	gate       atomic.Pointer[chan struct{}] // if set, the consumer waits until it is closed

	last     atomic.Int64 // number
	received atomic.Int64
	repeats  bool // the nodes of a cluster may send a message late, or again; see assertOnceInOrder
	again    int
	wrong    []string

	mu        sync.Mutex
	lost      int64
	gaps      []soakGap // of which account has not said yet whether a report covers them
	gapsSoFar int
}

// soakGap is a number of messages that were lost, between the latest time when the first
// and the earliest time when the last of them was published.
type soakGap struct {
	first, last int64
	from, to    time.Time
}

func soakSteadily(n int64) bool { return n%soakPattern == soakSteady }

func soakSharded(n int64) bool { return n%soakPattern == soakShard }

func soakAll(n int64) bool { return !soakSharded(n) }

// newSoakers makes a subscription of each kind.
func newSoakers(t *testing.T, clients []constructor, sent *soakTimes) []*soaker {
	t.Helper()
	soakers := []*soaker{
		{name: "Subscribe", reported: "soak:steady", receives: soakSteadily},
		{name: "PSubscribe", reported: "soak:*", receives: soakAll},
		{name: "SSubscribe", reported: "soak:shard", receives: soakSharded},
		{name: "Subscribe-again", reported: "soak:steady", receives: soakSteadily},
	}
	for i, s := range soakers {
		s.sent, s.reports, s.deliveries = sent, tracetest.NewReportLog(), newDeliveries(t)
		s.rdb = clients[i%len(clients)].make(s.name)
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&s.spans))
		client := tracedpubsub.Wrap(s.rdb, tracedpubsub.WithTracerProvider(provider), s.deliveries.meters.Option(), tracedpubsub.WithErrorHandler(s.reports.Handle))
		switch {
		case strings.HasPrefix(s.name, "P"):
			s.sub = client.PSubscribe(tracetest.Context(t), s.reported)
		case strings.HasPrefix(s.name, "SS"):
			s.sub = client.SSubscribe(tracetest.Context(t), s.reported)
		default:
			s.sub = client.Subscribe(tracetest.Context(t), s.reported)
		}
		t.Cleanup(func() {
			_ = s.sub.Close()
			_ = s.rdb.Close()
			_ = provider.Shutdown(context.Background())
		})
		tracetest.WaitReady(t, s.sub)
		s.last.Store(-1)
		s.loop.Go(func() { tracetest.Consumers[i].Consume(context.Background(), s.sub, s.take) })
	}
	return soakers
}

func (s *soaker) take(m *tracedpubsub.Message) bool {
	if gate := s.gate.Load(); gate != nil {
		<-*gate
	}
	s.received.Add(1)
	if m.Payload == filling {
		return true
	}
	n, err := s.count(m)
	last := s.last.Load()
	if s.repeats && err == nil && n <= last && s.sent.mayRepeat(n) {
		s.again++
		return true
	}
	if err != nil || n <= last || !s.receives(n) {
		if len(s.wrong) < 10 {
			s.wrong = append(s.wrong, fmt.Sprintf("%q on %s after %d", m.Payload, m.Channel, last))
		}
		return true
	}
	s.noteLost(last+1, n)
	s.last.Store(n)
	return true
}

// count adds m to the deliveries, and returns its number among all messages.
func (s *soaker) count(m *tracedpubsub.Message) (n int64, err error) {
	fields := strings.SplitN(m.Payload, " ", 4) // see payload and soakPublisher.numbered
	if n, err = strconv.ParseInt(fields[0], 10, 64); err != nil {
		return 0, err
	}
	if !soakSteadily(n) && !soakSharded(n) {
		s.deliveries.addAlone(m.Channel, n, m.Skipped)
		return n, nil
	}
	if len(fields) < 3 {
		return 0, strconv.ErrSyntax
	}
	number, err := strconv.ParseInt(fields[2], 10, 64)
	s.deliveries.add(m.Channel, number, m.Skipped)
	return n, err
}

// noteLost notes the numbers from first to end, end excluded, that s should have
// received.
func (s *soaker) noteLost(first, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gap := soakGap{first: -1}
	for i := first; i < end; i++ {
		if s.receives(i) {
			s.lost++
			gap.last = i
			if gap.first < 0 {
				gap.first = i
			}
		}
	}
	if gap.first >= 0 {
		_, gap.from = s.sent.of(gap.first)
		gap.to, _ = s.sent.of(gap.last)
		s.gaps = append(s.gaps, gap)
		s.gapsSoFar++
	}
}

// soakMemory is how long gaps and reports are kept: longer than any fault lasts.
const soakMemory = time.Minute

// account asserts that the reports cover the gaps before a moment, and drops both.
func (s *soaker) account(t *testing.T, before time.Time) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := s.reports.All()
	s.gaps = slices.DeleteFunc(s.gaps, func(gap soakGap) bool {
		due := gap.to.Before(before)
		if due && !s.explains(reports, gap) {
			about := slices.DeleteFunc(slices.Clone(reports), func(e tracetest.Report) bool {
				return e.At.Before(gap.from) || e.At.After(gap.to.Add(soakMemory))
			})
			t.Errorf("%s: %d to %d, published from %v until %v, were lost, in no reported downtime",
				s.name, gap.first, gap.last, clock(gap.from), clock(gap.to))
			for _, e := range about {
				t.Logf("%v: %v, from %v", clock(e.At), e, clock(e.At.Add(-e.Downtime)))
			}
		}
		return due
	})
	s.reports.DropBefore(before.Add(-soakMemory))
}

// explains reports whether the reports cover a gap, one of them or several that follow each
// other: nothing may have been received between two outages.
func (s *soaker) explains(reports []tracetest.Report, gap soakGap) bool {
	if covered(reports, s.reported, gap.to, gap.from) {
		return true
	}
	until := gap.from
	for until.Before(gap.to) {
		next := until
		for _, e := range reports {
			begins := e.At.Add(-e.Downtime - tolerance)
			if slices.Contains(e.Channels, s.reported) && e.Downtime > 0 && begins.Before(until) && e.At.After(next) {
				next = e.At
			}
		}
		if next.Equal(until) {
			return gap.to.Before(until.Add(tolerance))
		}
		until = next
	}
	return true
}

// comeAndGo subscribes to channels and unsubscribes from them, again and again.
func (s *soaker) comeAndGo(done <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	names := make([]string, 20)
	for i := 0; ; i++ {
		for k := range names {
			names[k] = fmt.Sprintf("soaked:%d:%d", i, k)
		}
		_ = s.sub.Subscribe(context.Background(), names...)
		_ = s.sub.Unsubscribe(context.Background(), names...)
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
}

func (s *soaker) close(t *testing.T) {
	t.Helper()
	tracetest.ReturnsPromptly(t, "Close", func() { _ = s.sub.Close() })
	tracetest.ReturnsPromptly(t, "the loop", s.loop.Wait)
}

// check checks the sums of s.
func (s *soaker) check(t *testing.T) {
	t.Helper()
	s.account(t, time.Now().Add(soakMemory))
	t.Logf("%s: %d received, %d of them again, %d lost in %d gaps, %d reports",
		s.name, s.received.Load(), s.again, s.lost, s.gapsSoFar, s.reports.Total())
	if len(s.wrong) > 0 {
		t.Errorf("%s: received twice, out of order, or without a subscription: %v", s.name, s.wrong)
	}
	if len(s.reports.Others()) > 0 {
		t.Errorf("%s: the error handler got errors that are no SubscriptionError: %v", s.name, s.reports.Others())
	}
	s.deliveries.check(t)
	if started, ended := s.spans.started.Load(), s.spans.ended.Load(); started != ended || ended != s.received.Load() {
		t.Errorf("%s: %d spans started, %d ended, of %d messages", s.name, started, ended, s.received.Load())
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

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
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// soaker is a subscription of the soak. It keeps sums, and nothing of a message.
type soaker struct {
	name, reported string
	hears          func(n int64) bool
	sent           *soakTimes

	rdb     *redis.Client
	sub     *tracedpubsub.PubSub
	reports *tracetest.ReportLog
	spans   spanCount
	loop    sync.WaitGroup
	gate    atomic.Pointer[chan struct{}] // set: the consumer waits until it is closed

	last     atomic.Int64 // number
	received atomic.Int64
	wrong    []string

	mu        sync.Mutex
	lost      int64
	gaps      []soakGap // that are not accounted for yet
	gapsSoFar int
}

// soakGap is what was lost: it began at the latest, and ended at the earliest.
type soakGap struct {
	first, last int64
	from, to    time.Time
}

func soakSteadily(n int64) bool { return n%soakPattern == soakSteady }

func soakSharded(n int64) bool { return n%soakPattern == soakShard }

func soakAll(n int64) bool { return !soakSharded(n) }

// newSoakers subscribes in each way that there is.
func newSoakers(t *testing.T, proxy *redistest.Proxy, sent *soakTimes) []*soaker {
	t.Helper()
	soakers := []*soaker{
		{name: "Subscribe", reported: "soak:steady", hears: soakSteadily},
		{name: "PSubscribe", reported: "soak:*", hears: soakAll},
		{name: "SSubscribe", reported: "soak:shard", hears: soakSharded},
		{name: "Subscribe-again", reported: "soak:steady", hears: soakSteadily},
	}
	for i, s := range soakers {
		s.sent, s.reports = sent, tracetest.NewReportLog()
		o := options(proxy.Addr(), s.name)
		o.Username, o.Password = soakUser, soakUser
		s.rdb = redis.NewClient(o)
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&s.spans))
		client := tracedpubsub.Wrap(s.rdb, tracedpubsub.WithTracerProvider(provider), tracedpubsub.WithErrorHandler(s.reports.Handle))
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
	number, _, _ := strings.Cut(m.Payload, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	last := s.last.Load()
	if err != nil || n <= last || !s.hears(n) {
		if len(s.wrong) < 10 {
			s.wrong = append(s.wrong, fmt.Sprintf("%q on %s after %d", m.Payload, m.Channel, last))
		}
		return true
	}
	s.noteLost(last+1, n)
	s.last.Store(n)
	return true
}

// noteLost notes that what was to be heard of the numbers from first to before end
// was not.
func (s *soaker) noteLost(first, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gap := soakGap{first: -1}
	for i := first; i < end; i++ {
		if s.hears(i) {
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

// soakMemory is for how long what is accounted for is remembered: for longer than
// any fault lasts.
const soakMemory = time.Minute

// account asserts that reports cover what was lost before a moment, and forgets both.
func (s *soaker) account(t *testing.T, before time.Time) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := s.reports.All()
	s.gaps = slices.DeleteFunc(s.gaps, func(gap soakGap) bool {
		due := gap.to.Before(before)
		if due && !excused(reports, s.reported, gap.to, gap.from) {
			about := slices.DeleteFunc(slices.Clone(reports), func(e tracetest.Report) bool {
				return e.At.Before(gap.from) || e.At.After(gap.to.Add(soakMemory))
			})
			t.Errorf("%s: %d to %d, published from %v until %v, were lost, and no report covers that time: %v",
				s.name, gap.first, gap.last, clock(gap.from), clock(gap.to), tracetest.Texts(about))
		}
		return due
	})
	s.reports.DropBefore(before.Add(-soakMemory))
}

// comeAndGo subscribes to channels and leaves them, again and again.
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

// check checks the sums.
func (s *soaker) check(t *testing.T) {
	t.Helper()
	s.account(t, time.Now().Add(soakMemory))
	t.Logf("%s: %d received, %d lost in %d gaps, %d reports", s.name, s.received.Load(), s.lost, s.gapsSoFar, s.reports.Total())
	if len(s.wrong) > 0 {
		t.Errorf("%s: came twice, out of order, or unasked: %v", s.name, s.wrong)
	}
	if len(s.reports.Others()) > 0 {
		t.Errorf("%s: the error handler got errors that are no SubscriptionError: %v", s.name, s.reports.Others())
	}
	if started, ended := s.spans.started.Load(), s.spans.ended.Load(); started != ended || ended != s.received.Load() {
		t.Errorf("%s: %d spans started, %d ended, of %d messages", s.name, started, ended, s.received.Load())
	}
}

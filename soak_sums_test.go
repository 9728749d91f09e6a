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
)

// Every message has a number. Of five, one goes to a channel that is always
// there, one to a sharded channel, and three to channels of their own.
const (
	soakPattern = 5
	soakSteady  = 0
	soakShard   = 1
	soakBatch   = 50
	// soakLead is how many messages a subscriber may be behind before the publisher
	// waits for it: as long as soakPatience, for it may be deaf.
	soakLead     = 2000
	soakPatience = 20 * time.Millisecond
)

// soakPublisher publishes to the server, past the proxy.
type soakPublisher struct {
	rdb     *redis.Client
	client  *tracedpubsub.Client
	spans   spanCount
	soakers []*soaker
	next    atomic.Int64 // all before it have been published, or might have been
	failed  atomic.Int64 // batches
	sent    *soakTimes
}

// soakTimes is when the last batches were published.
type soakTimes [1 << 16]atomic.Int64

func (s *soakTimes) of(n int64) time.Time { return time.Unix(0, s[n/soakBatch%int64(len(s))].Load()) }

func newSoakPublisher(t *testing.T, server *redistest.Server) *soakPublisher {
	t.Helper()
	p := &soakPublisher{sent: &soakTimes{}}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&p.spans))
	p.rdb = redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, ReadTimeout: time.Minute})
	p.client = tracedpubsub.Wrap(p.rdb, tracedpubsub.WithTracerProvider(provider))
	t.Cleanup(func() {
		_ = p.rdb.Close()
		_ = provider.Shutdown(context.Background())
	})
	return p
}

// run publishes at full speed until done.
func (p *soakPublisher) run(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		p.publish()
		late := time.Now().Add(soakPatience)
		for p.leads() && time.Now().Before(late) {
			lasting(time.Millisecond)
		}
	}
}

func (p *soakPublisher) publish() {
	n := p.next.Load()
	p.sent[n/soakBatch%int64(len(p.sent))].Store(time.Now().UnixNano())
	if p.publishBatch(n) {
		p.next.Add(soakBatch)
		return
	}
	lasting(time.Millisecond)
}

func (p *soakPublisher) leads() bool {
	next := p.next.Load()
	return slices.ContainsFunc(p.soakers, func(s *soaker) bool { return s.last.Load() < next-soakLead })
}

// awaitReturn waits until each subscriber hears what is published now.
func (p *soakPublisher) awaitReturn(t *testing.T, after string) {
	t.Helper()
	next := p.next.Load() + soakBatch // that one may be on its way
	p.await(t, "all hear again after "+after, func(s *soaker) bool { return s.last.Load() >= next })
}

// awaitLast publishes once more, and waits until each subscriber has heard it.
func (p *soakPublisher) awaitLast(t *testing.T) {
	t.Helper()
	for failed := p.failed.Load(); ; failed = p.failed.Load() {
		if p.publish(); p.failed.Load() == failed {
			break
		}
	}
	next := p.next.Load()
	p.await(t, "all hear the last messages", func(s *soaker) bool { return s.last.Load() >= next-soakPattern })
}

func (p *soakPublisher) await(t *testing.T, what string, holds func(*soaker) bool) {
	t.Helper()
	late := time.After(halfOpen + 2*patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, s := range p.soakers {
		for !holds(s) {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s: %s does not: it is at %d of %d; reported: %v", what, s.name, s.last.Load(), p.next.Load(), printed(s.reports.all()))
			}
		}
	}
}

// soaker is a subscription of the soak. It keeps sums, and nothing of a message.
type soaker struct {
	name, reported string
	hears          func(n int64) bool
	sent           *soakTimes

	rdb     *redis.Client
	sub     *tracedpubsub.PubSub
	reports *troubleLog
	spans   spanCount
	loop    sync.WaitGroup

	last     atomic.Int64 // number
	received atomic.Int64
	lost     int64
	gaps     []soakGap // what was lost, and when it was published
	wrong    []string
}

type soakGap struct {
	first, last int64
	from, to    time.Time
}

func soakSteadily(n int64) bool { return n%soakPattern == soakSteady }
func soakSharded(n int64) bool  { return n%soakPattern == soakShard }
func soakAll(n int64) bool      { return !soakSharded(n) }

// newSoakers subscribes in each way that there is.
func newSoakers(t *testing.T, proxy *redistest.Proxy, sent *soakTimes) []*soaker {
	t.Helper()
	soakers := []*soaker{
		{name: "Subscribe", reported: "soak:steady", hears: soakSteadily},
		{name: "PSubscribe", reported: "soak:*", hears: soakAll},
		{name: "SSubscribe", reported: "soak:shard", hears: soakSharded},
		{name: "Subscribe again", reported: "soak:steady", hears: soakSteadily},
	}
	for i, s := range soakers {
		s.sent, s.reports = sent, newTroubleLog()
		s.rdb = redis.NewClient(options(proxy.Addr(), "soaker"))
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&s.spans))
		client := tracedpubsub.Wrap(s.rdb, tracedpubsub.WithTracerProvider(provider), tracedpubsub.WithErrorHandler(s.reports.handle))
		switch {
		case strings.HasPrefix(s.name, "P"):
			s.sub = client.PSubscribe(testContext(t), s.reported)
		case strings.HasPrefix(s.name, "SS"):
			s.sub = client.SSubscribe(testContext(t), s.reported)
		default:
			s.sub = client.Subscribe(testContext(t), s.reported)
		}
		t.Cleanup(func() {
			_ = s.sub.Close()
			_ = s.rdb.Close()
			_ = provider.Shutdown(context.Background())
		})
		mustBeReady(t, s.sub)
		s.last.Store(-1)
		s.loop.Go(func() { consumptions[i].consume(context.Background(), s.sub, s.take) })
	}
	return soakers
}

func (s *soaker) take(m *tracedpubsub.Message) bool {
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
	gap := soakGap{first: -1}
	for i := last + 1; i < n; i++ {
		if s.hears(i) {
			s.lost++
			gap.last = i
			if gap.first < 0 {
				gap.first = i
			}
		}
	}
	if gap.first >= 0 {
		gap.from, gap.to = s.sent.of(gap.first), s.sent.of(gap.last)
		s.gaps = append(s.gaps, gap)
	}
	s.last.Store(n)
	return true
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
	returnsPromptly(t, "Close", func() { _ = s.sub.Close() })
	returnsPromptly(t, "the loop", s.loop.Wait)
}

// check checks the sums.
func (s *soaker) check(t *testing.T) {
	t.Helper()
	reports := s.reports.all()
	t.Logf("%s: %d received, %d lost in %d gaps, %d reports", s.name, s.received.Load(), s.lost, len(s.gaps), len(reports))
	if len(s.wrong) > 0 {
		t.Errorf("%s: came twice, out of order, or unasked: %v", s.name, s.wrong)
	}
	if started, ended := s.spans.started.Load(), s.spans.ended.Load(); started != ended || ended != s.received.Load() {
		t.Errorf("%s: %d spans started, %d ended, of %d messages", s.name, started, ended, s.received.Load())
	}
	for _, gap := range s.gaps {
		if !excused(reports, s.reported, gap.to, gap.from) {
			t.Errorf("%s: %d to %d, published from %v until %v, were lost, and no report covers that time",
				s.name, gap.first, gap.last, clock(gap.from), clock(gap.to))
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"maps"
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

// row is one subscription in a scene, and what it has received.
type row struct {
	kind subscribing
	way  tracetest.Consumer

	rdb     redis.UniversalClient
	sub     *tracedpubsub.PubSub
	heard   *history
	reports *tracetest.ReportLog
	spans   spanCount
	loop    sync.WaitGroup
	gate    atomic.Pointer[chan struct{}] // set: the consumer waits until it is closed
}

func (r *row) name() string { return r.kind.name + " " + r.way.Name }

// clientName is the name of its connections in CLIENT LIST.
func (r *row) clientName() string { return "row:" + r.kind.name + ":" + r.way.Name }

// channels returns the channels of the scene that are for its kind.
func (r *row) channels(s *scene) []string {
	if r.kind.sharded {
		return s.sharded
	}
	return s.classic
}

// subscribe subscribes and waits for the server.
func (r *row) subscribe(t *testing.T, s *scene) {
	t.Helper()
	r.rdb = s.connect(r.clientName())
	t.Cleanup(func() { _ = r.rdb.Close() })
	r.reports = tracetest.NewReportLog()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&r.spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	client := tracedpubsub.Wrap(r.rdb, tracedpubsub.WithTracerProvider(provider),
		tracedpubsub.WithErrorHandler(r.reports.Handle))
	for {
		r.sub = r.kind.subscribe(tracetest.Context(t), client, r.channels(s))
		t.Cleanup(func() { _ = r.sub.Close() })
		tracetest.WaitReady(t, r.sub)
		if r.kind.sharded || s.cluster == nil || len(connectionsOf(t, s.victim.Addr(), r.clientName())) > 0 {
			break
		}
		_ = r.sub.Close() // it hangs on a node that nothing will happen to
	}
	r.heard = newHistory()
	r.loop.Go(func() {
		r.way.Consume(context.Background(), r.sub, func(m *tracedpubsub.Message) bool {
			if gate := r.gate.Load(); gate != nil {
				<-*gate
			}
			r.heard.add(m.Channel, m.Payload)
			return true
		})
	})
}

// awaitFlow waits until flowing messages more have come on each channel.
func (r *row) awaitFlow(t *testing.T, s *scene) {
	t.Helper()
	before := r.heard.counts()
	s.await(t, r, tracetest.Patience, "messages flow", func() bool {
		now := r.heard.counts()
		return !slices.ContainsFunc(r.channels(s), func(c string) bool { return now[c] < before[c]+flowing })
	})
}

// awaitReturn waits until there is a message on each channel that was published
// after the fault was over. For how long check will say: here is more than that.
func (r *row) awaitReturn(t *testing.T, s *scene) {
	t.Helper()
	s.await(t, r, s.fault.within+3*tracetest.Patience, "messages arrive again", func() bool {
		last := r.heard.lastSent()
		return !slices.ContainsFunc(r.channels(s), func(c string) bool { return !last[c].After(s.healed) })
	})
}

// awaitLast waits until the last message has come that the server took.
func (r *row) awaitLast(t *testing.T, s *scene) {
	t.Helper()
	for _, h := range []*history{r.heard, s.reference} {
		s.await(t, r, tracetest.Patience, "the last messages arrive", func() bool {
			last := h.lastSeq()
			return !slices.ContainsFunc(r.channels(s), func(c string) bool { return last[c] < s.publisher.acked(c) })
		})
	}
}

// close closes the subscription, and waits for its loop.
func (r *row) close(t *testing.T) {
	t.Helper()
	tracetest.ReturnsPromptly(t, "Close of "+r.name(), func() { _ = r.sub.Close() })
	tracetest.ReturnsPromptly(t, "the loop of "+r.name(), r.loop.Wait)
}

// spanCount is a span processor that counts.
type spanCount struct{ started, ended atomic.Int64 }

func (c *spanCount) OnStart(context.Context, sdktrace.ReadWriteSpan) { c.started.Add(1) }

func (c *spanCount) OnEnd(sdktrace.ReadOnlySpan) { c.ended.Add(1) }

func (c *spanCount) Shutdown(context.Context) error { return nil }

func (c *spanCount) ForceFlush(context.Context) error { return nil }

// arrival is a message that has come.
type arrival struct {
	channel  string
	seq      int
	sent, at time.Time
}

// history is what a subscriber has received, in that order.
type history struct {
	mu       sync.Mutex
	arrivals []arrival
	last     map[string]arrival
	count    map[string]int
	strange  []string // payloads that are none of the publisher's
}

func newHistory() *history {
	return &history{last: make(map[string]arrival), count: make(map[string]int)}
}

// payload is a number and the time; padding makes it longer.
func payload(seq int, padding string) string {
	return fmt.Sprintf("%d %d %s", seq, time.Now().UnixNano(), padding)
}

func (h *history) add(channel, payload string) {
	a := arrival{channel: channel, at: time.Now()}
	number, rest, _ := strings.Cut(payload, " ")
	sent, _, _ := strings.Cut(rest, " ")
	seq, errSeq := strconv.Atoi(number)
	nano, errSent := strconv.ParseInt(sent, 10, 64)
	h.mu.Lock()
	defer h.mu.Unlock()
	if errSeq != nil || errSent != nil {
		h.strange = append(h.strange, payload)
		return
	}
	a.seq, a.sent = seq, time.Unix(0, nano)
	h.arrivals = append(h.arrivals, a)
	h.last[channel] = a
	h.count[channel]++
}

func (h *history) all() []arrival {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.arrivals)
}

func (h *history) counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.count)
}

func (h *history) lastSeq() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := make(map[string]int)
	for channel, a := range h.last {
		last[channel] = a.seq
	}
	return last
}

func (h *history) lastSent() map[string]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := make(map[string]time.Time)
	for channel, a := range h.last {
		last[channel] = a.sent
	}
	return last
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// row is a subscription in a scene, and what it has received.
type row struct {
	kind subscribing
	way  tracetest.Consumer
	turn int // the clients of a scene take turns

	rdb        redis.UniversalClient
	sub        *tracedpubsub.PubSub
	received   *history
	deliveries *deliveries
	reports    *tracetest.ReportLog
	spans      spanCount
	loop       sync.WaitGroup
	gate       atomic.Pointer[chan struct{}] // if set, the consumer waits until it is closed
}

func (r *row) name() string { return r.kind.name + " " + r.way.Name }

// clientName returns the name of its connections in CLIENT LIST.
func (r *row) clientName() string { return "row:" + r.kind.name + ":" + r.way.Name }

// constructor returns the constructor of its client.
func (r *row) constructor(s *scene) constructor { return s.clients[r.turn%len(s.clients)] }

// constructors returns the names of the constructors of the clients of the rows. Each of the
// scene must be among them.
func (s *scene) constructors(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, r := range s.rows {
		names = append(names, r.constructor(s).name)
	}
	for _, c := range s.clients {
		if !slices.Contains(names, c.name) {
			t.Errorf("no row has a client of %s", c.name)
		}
	}
	return names
}

// channels returns the channels of the scene that are of its kind.
func (r *row) channels(s *scene) []string {
	if r.kind.sharded {
		return s.sharded
	}
	return s.classic
}

// subscribe subscribes, and waits until the server has confirmed it.
func (r *row) subscribe(t *testing.T, s *scene) {
	t.Helper()
	r.rdb = r.constructor(s).make(r.clientName())
	t.Cleanup(func() { _ = r.rdb.Close() })
	r.reports = tracetest.NewReportLog()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&r.spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	r.deliveries = newDeliveries(t)
	client := tracedpubsub.Wrap(r.rdb, tracedpubsub.WithTracerProvider(provider), r.deliveries.meters.Option(),
		tracedpubsub.WithErrorHandler(r.reports.Handle))
	for {
		r.sub = r.kind.subscribe(tracetest.Context(t), client, r.channels(s))
		t.Cleanup(func() { _ = r.sub.Close() })
		tracetest.WaitReady(t, r.sub)
		if r.kind.sharded || s.cluster == nil || len(connectionsOf(t, s.victim.Addr(), r.clientName())) > 0 {
			break
		}
		_ = r.sub.Close() // it is on a node that the fault will not happen to
	}
	r.received = newHistory()
	r.loop.Go(func() {
		r.way.Consume(context.Background(), r.sub, func(m *tracedpubsub.Message) bool {
			if gate := r.gate.Load(); gate != nil {
				<-*gate
			}
			r.deliveries.add(m.Channel, int64(r.received.add(m.Channel, m.Payload)), m.Skipped)
			return true
		})
	})
}

// awaitFlow waits until each channel has received flowing more messages.
func (r *row) awaitFlow(t *testing.T, s *scene) {
	t.Helper()
	before := r.received.counts()
	s.await(t, r, tracetest.Patience, "messages flow", func() bool {
		now := r.received.counts()
		return !slices.ContainsFunc(r.channels(s), func(c string) bool { return now[c] < before[c]+flowing })
	})
}

// awaitReturn waits until each channel has received a message that was published after
// the fault. It waits longer than check allows.
func (r *row) awaitReturn(t *testing.T, s *scene) {
	t.Helper()
	s.await(t, r, s.fault.within+3*tracetest.Patience, "messages are received again", func() bool {
		last := r.received.lastSent()
		return !slices.ContainsFunc(r.channels(s), func(c string) bool { return !last[c].After(s.healed) })
	})
}

// awaitLast waits until the row has received the last message that the server
// acknowledged.
func (r *row) awaitLast(t *testing.T, s *scene) {
	t.Helper()
	for _, h := range []*history{r.received, s.reference.history} {
		s.await(t, r, tracetest.Patience, "the last messages are received", func() bool {
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Every message has a number. Of five messages one is published on the same channel each
// time, one on a sharded channel, and three on channels of their own.
const (
	soakPattern = 5
	soakSteady  = 0
	soakShard   = 1
	soakBatch   = 50
	// soakLead is how many messages a subscriber may be behind before the publisher waits
	// for it. It waits no longer than soakPatience, as the subscriber may be disconnected.
	soakLead     = 2000
	soakPatience = 20 * time.Millisecond
	// soakUser is the user of the subscribers, and the password.
	soakUser = "soaker"
)

// soakPublisher publishes to the server directly, without the proxy.
type soakPublisher struct {
	rdb     *redis.Client
	client  *tracedpubsub.Client
	spans   spanCount
	soakers []*soaker
	next    atomic.Int64 // all before it have been published, or might have been
	failed  atomic.Int64 // batches
	sent    *soakTimes
	padding atomic.Pointer[string] // of each payload
}

// soakTimes has the times when the last batches were published. A message was published
// at some time between the beginning and the end of its batch.
type soakTimes struct{ began, ended [1 << 16]atomic.Int64 }

func (s *soakTimes) at(n int64) int { return int(n / soakBatch % int64(len(s.began))) }

func (s *soakTimes) begin(n int64) { s.began[s.at(n)].Store(time.Now().UnixNano()) }

func (s *soakTimes) end(n int64) { s.ended[s.at(n)].Store(time.Now().UnixNano()) }

// of returns the times of the batch of a message.
func (s *soakTimes) of(n int64) (began, ended time.Time) {
	i := s.at(n)
	began, ended = time.Unix(0, s.began[i].Load()), time.Unix(0, s.ended[i].Load())
	if ended.Before(began) {
		ended = time.Now() // it is still under way
	}
	return began, ended
}

func newSoakPublisher(t *testing.T, server *redistest.Server) *soakPublisher {
	t.Helper()
	p := &soakPublisher{sent: &soakTimes{}}
	p.padding.Store(new(string))
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&p.spans))
	p.rdb = redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, ReadTimeout: time.Minute})
	p.client = tracedpubsub.Wrap(p.rdb, tracedpubsub.WithTracerProvider(provider))
	t.Cleanup(func() {
		_ = p.rdb.Close()
		_ = provider.Shutdown(context.Background())
	})
	return p
}

// run publishes until done is closed.
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
			tracetest.LetTimePass(time.Millisecond)
		}
	}
}

func (p *soakPublisher) publish() {
	n := p.next.Load()
	p.sent.begin(n)
	went := p.publishBatch(n)
	p.sent.end(n)
	if went {
		p.next.Add(soakBatch)
		return
	}
	tracetest.LetTimePass(time.Millisecond)
}

func (p *soakPublisher) leads() bool {
	next := p.next.Load()
	return slices.ContainsFunc(p.soakers, func(s *soaker) bool { return s.last.Load() < next-soakLead })
}

// awaitReturn waits until each subscriber receives what is published now.
func (p *soakPublisher) awaitReturn(t *testing.T, after string) {
	t.Helper()
	next := p.next.Load() + soakBatch // that one may be on its way
	p.await(t, "receives messages again after "+after, func(s *soaker) bool { return s.last.Load() >= next })
}

// awaitLast publishes once more, and waits until each subscriber has received it.
func (p *soakPublisher) awaitLast(t *testing.T) {
	t.Helper()
	for failed := p.failed.Load(); ; failed = p.failed.Load() {
		if p.publish(); p.failed.Load() == failed {
			break
		}
	}
	next := p.next.Load()
	p.await(t, "receives the last messages", func(s *soaker) bool { return s.last.Load() >= next-soakPattern })
}

func (p *soakPublisher) await(t *testing.T, what string, holds func(*soaker) bool) {
	t.Helper()
	late := time.After(halfOpen + 2*tracetest.Patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, s := range p.soakers {
		for !holds(s) {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s: not so: %s; it is at %d of %d; reported: %v", s.name, what, s.last.Load(), p.next.Load(), tracetest.Texts(s.reports.All()))
			}
		}
	}
}

// neverSent reports whether err says that nothing was sent.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// publishBatch publishes a batch beginning with number n, and reports whether the server
// may have got any of it.
func (p *soakPublisher) publishBatch(n int64) bool {
	ctx, padding := context.Background(), *p.padding.Load()
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := n; i < n+soakBatch; i++ {
			switch i % soakPattern {
			case soakSteady:
				p.client.PublishTo(ctx, pipe, "soak:steady", payload(int(i), padding))
			case soakShard:
				p.client.SPublishTo(ctx, pipe, "soak:shard", payload(int(i), padding))
			default:
				p.client.PublishTo(ctx, pipe, fmt.Sprint("soak:", i), payload(int(i), padding))
			}
		}
		return nil
	})
	if err != nil {
		p.failed.Add(1)
	}
	return !neverSent(err)
}

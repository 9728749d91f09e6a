// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
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

// soakPublisher publishes to the servers directly, without a proxy. The messages on the sharded
// channel have a server of their own; it may be the same one. All are accounted for, by one
// publisher for the channels that stay the same, and one for the others.
type soakPublisher struct {
	spans    spanCount
	provider *sdktrace.TracerProvider
	soakers  []*soaker
	next     atomic.Int64 // all before it have been published, or might have been
	failed   atomic.Int64 // batches
	sent     *soakTimes
	pace     time.Duration          // the least time between two batches
	padding  atomic.Pointer[string] // of each payload

	sending sync.Mutex       // held while a batch is sent
	numbers map[string]int64 // how many messages there are on the channels that stay the same
	steady  *tracedpubsub.Client
	alone   *tracedpubsub.Client

	mu          sync.Mutex
	held        bool          // nothing is published
	rest, shard *redis.Client // of the servers
}

// soakTimes has the times when the last batches were published. A message was published
// at some time between the beginning and the end of its batch. If the batch failed, the server
// may publish it at any later time.
type soakTimes struct {
	began, ended [1 << 16]atomic.Int64
	failed       [1 << 16]atomic.Bool
}

func (s *soakTimes) at(n int64) int { return int(n / soakBatch % int64(len(s.began))) }

func (s *soakTimes) begin(n int64) {
	s.failed[s.at(n)].Store(false)
	s.began[s.at(n)].Store(time.Now().UnixNano())
}

func (s *soakTimes) fail(n int64) { s.failed[s.at(n)].Store(true) }

// mayRepeat reports whether a message may be received after later ones: a batch that failed, or
// one that another node of the cluster still sends.
func (s *soakTimes) mayRepeat(n int64) bool {
	_, ended := s.of(n)
	return s.failed[s.at(n)].Load() || time.Since(ended) < 2*busDelay
}

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

func newSoakPublisher(t *testing.T) *soakPublisher {
	t.Helper()
	p := &soakPublisher{sent: &soakTimes{}, numbers: make(map[string]int64)}
	p.padding.Store(new(string))
	p.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&p.spans))
	t.Cleanup(func() {
		closeClients(p.rest, p.shard)
		_ = p.provider.Shutdown(context.Background())
	})
	return p
}

// to sets the servers to which messages are published from now on, and ends hold.
func (p *soakPublisher) to(rest, shard *redistest.Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	closeClients(p.rest, p.shard)
	p.rest, p.shard = soakClient(rest), soakClient(shard)
	p.held = false
	if p.steady == nil {
		p.steady, p.alone = p.accounting(), p.accounting()
	}
}

func soakClient(server *redistest.Server) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, ReadTimeout: time.Minute})
}

func closeClients(clients ...*redis.Client) {
	for _, rdb := range clients {
		if rdb != nil {
			_ = rdb.Close()
		}
	}
}

// accounting returns a publisher. It publishes through pipelines of any client.
func (p *soakPublisher) accounting() *tracedpubsub.Client {
	return tracedpubsub.Wrap(p.rest, tracedpubsub.WithTracerProvider(p.provider), tracedpubsub.WithAccounting())
}

// hold stops publishing until to is called. It interrupts a batch that waits for a server: first
// its sharded messages, and then the others if their server does not answer either.
func (p *soakPublisher) hold() {
	p.mu.Lock()
	p.held = true
	rest, shard := p.rest, p.shard
	p.mu.Unlock()
	for i, rdb := range []*redis.Client{shard, rest} {
		defer time.AfterFunc(time.Duration(i+1)*time.Second, func() { _ = rdb.Close() }).Stop()
	}
	p.sending.Lock()
	defer p.sending.Unlock()
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
		if p.pace > 0 {
			tracetest.LetTimePass(p.pace)
		}
	}
}

func (p *soakPublisher) publish() {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.mu.Lock()
	held, rest, shard := p.held, p.rest, p.shard
	p.mu.Unlock()
	n := p.next.Load()
	went := false
	if !held {
		p.sent.begin(n)
		// The other messages are always sent if these may have been.
		if went = p.publishSome(shard, n, soakSharded); went {
			p.publishSome(rest, n, soakAll)
		}
		p.sent.end(n)
	}
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
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				t.Fatalf("%s: not so: %s; it is at %d of %d; Ready: %v; reported: %v", s.name, what, s.last.Load(), p.next.Load(),
					s.sub.Ready(ctx), tracetest.Texts(s.reports.All()))
			}
		}
	}
}

// neverSent reports whether err says that nothing was sent.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// publishSome publishes those messages of a batch beginning with number n that belong to a
// server, and reports whether the server may have got any of them.
func (p *soakPublisher) publishSome(rdb *redis.Client, n int64, belongs func(n int64) bool) bool {
	ctx, padding := context.Background(), *p.padding.Load()
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := n; i < n+soakBatch; i++ {
			if !belongs(i) {
				continue
			}
			switch i % soakPattern {
			case soakSteady:
				p.steady.PublishTo(ctx, pipe, "soak:steady", p.numbered("soak:steady", i, padding))
			case soakShard:
				p.steady.SPublishTo(ctx, pipe, "soak:shard", p.numbered("soak:shard", i, padding))
			default:
				p.alone.PublishTo(ctx, pipe, fmt.Sprint("soak:", i), payload(int(i), padding))
			}
		}
		return nil
	})
	if err != nil {
		p.failed.Add(1)
		p.sent.fail(n)
	}
	return !neverSent(err)
}

// numbered returns the payload of message n, with the next number of the channel. A message that
// was not sent and is published once more has another number there.
func (p *soakPublisher) numbered(channel string, n int64, padding string) string {
	p.numbers[channel]++
	return payload(int(n), fmt.Sprint(p.numbers[channel], " ", padding))
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// publishInterval is the time between two messages on the channels of each kind.
const publishInterval = 2 * time.Millisecond

// publisher publishes numbers, which count the messages of each channel. It does not
// repeat a message that fails, as the server may have got it. It connects to the servers
// directly, and follows a channel to its owner. It accounts for its messages, through one
// Client for all servers, which counts as one publisher.
type publisher struct {
	spans    spanCount
	provider *sdktrace.TracerProvider

	sending sync.Mutex // held while a message is sent

	mu        sync.Mutex
	held      bool // publish does nothing
	addrs     map[string][]string
	clients   map[string]*redis.Client
	wrapped   *tracedpubsub.Client
	next      map[string]int
	confirmed map[string]int // the last number that a server acknowledged
	last      error
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{
		addrs: make(map[string][]string), clients: make(map[string]*redis.Client),
		next: make(map[string]int), confirmed: make(map[string]int),
	}
	p.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&p.spans))
	t.Cleanup(func() {
		_ = p.provider.Shutdown(context.Background())
		for _, rdb := range p.clients {
			_ = rdb.Close()
		}
	})
	return p
}

// to sets the addresses at which channels may be published.
func (p *publisher) to(addrs []string, channels ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, channel := range channels {
		p.addrs[channel] = slices.Clone(addrs)
	}
}

// hold stops publishing until release is called. It interrupts a message that waits for a
// server.
func (p *publisher) hold() {
	p.mu.Lock()
	p.held = true
	for _, rdb := range p.clients {
		_ = rdb.Close()
	}
	clear(p.clients)
	p.mu.Unlock()
	p.sending.Lock()
	defer p.sending.Unlock()
}

func (p *publisher) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
}

// start publishes until the returned function is called.
func (p *publisher) start(t *testing.T) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	p.mu.Lock()
	channels := slices.Sorted(maps.Keys(p.addrs)) // half of them for each kind
	p.mu.Unlock()
	var loop sync.WaitGroup
	loop.Go(func() {
		tick := time.NewTicker(publishInterval)
		defer tick.Stop()
		half := len(channels) / 2
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			p.publish(channels[i%half], "")
			p.publish(channels[half+i%half], "")
		}
	})
	var once sync.Once
	stop = func() {
		once.Do(func() { close(done) })
		loop.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// isSharded reports whether a channel is sharded. The names of the others sort first.
func isSharded(channel string) bool { return channel >= channelPrefix+"x" }

// publish publishes the next number of a channel.
func (p *publisher) publish(channel, padding string) {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.mu.Lock()
	if p.held {
		p.mu.Unlock()
		return
	}
	addr := p.addrs[channel][0]
	rdb := p.client(addr)
	p.next[channel]++
	seq := p.next[channel]
	p.mu.Unlock()

	ctx := context.Background()
	var err error
	if isSharded(channel) {
		err = p.wrapped.SPublishTo(ctx, rdb, channel, payload(seq, padding)).Err()
	} else {
		err = p.wrapped.PublishTo(ctx, rdb, channel, payload(seq, padding)).Err()
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.confirmed[channel] = seq
		return
	}
	p.last = err
	if p.held || p.addrs[channel][0] != addr {
		return // hold has closed the client
	}
	if owner, moved := redis.IsMovedError(err); moved {
		addrs := slices.DeleteFunc(p.addrs[channel], func(a string) bool { return a == owner })
		p.addrs[channel] = slices.Insert(addrs, 0, owner)
		return
	}
	if rdb := p.clients[addr]; rdb != nil {
		_ = rdb.Close()
	}
	delete(p.clients, addr)
	p.addrs[channel] = append(p.addrs[channel][1:], addr)
}

// client returns the client for an address. The caller holds p.mu.
func (p *publisher) client(addr string) *redis.Client {
	if p.clients[addr] == nil {
		// A long timeout waits for a server that is stopped. The client of a server that is
		// down is replaced after each failure, as a pool whose dials fail pauses.
		p.clients[addr] = redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Minute})
	}
	if p.wrapped == nil {
		p.wrapped = tracedpubsub.Wrap(p.clients[addr], tracedpubsub.WithTracerProvider(p.provider), tracedpubsub.WithAccounting())
	}
	return p.clients[addr]
}

// acked returns the last number of a channel that a server acknowledged.
func (p *publisher) acked(channel string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.confirmed[channel]
}

func (p *publisher) state() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%v (last error: %v)", p.confirmed, p.last)
}

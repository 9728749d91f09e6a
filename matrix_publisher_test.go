// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// publishInterval is how often a message goes out on a channel of each kind.
const publishInterval = 2 * time.Millisecond

// matrixPublisher publishes numbers, each channel with its own, and never the same one
// twice: what fails is not repeated, as it may have gone out all the same. It
// connects to servers directly, and follows a channel to its owner.
type matrixPublisher struct {
	spans    spanCount
	provider *sdktrace.TracerProvider

	mu      sync.Mutex // held while a message goes out
	homes   map[string][]string
	clients map[string]*redis.Client
	wrapped map[string]*tracedpubsub.Client

	numbers sync.Mutex
	next    map[string]int
	taken   map[string]int // the last one that a server took
	last    error
}

func newPublisher(t *testing.T) *matrixPublisher {
	p := &matrixPublisher{
		homes: make(map[string][]string), clients: make(map[string]*redis.Client), wrapped: make(map[string]*tracedpubsub.Client),
		next: make(map[string]int), taken: make(map[string]int),
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

// to says at which addresses channels may be published.
func (p *matrixPublisher) to(addrs []string, channels ...string) {
	for _, channel := range channels {
		p.homes[channel] = slices.Clone(addrs)
	}
}

// start publishes until the returned function is called.
func (p *matrixPublisher) start(t *testing.T) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() {
		tick := time.NewTicker(publishInterval)
		defer tick.Stop()
		channels := slices.Sorted(maps.Keys(p.homes)) // half of them for each kind
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

// isSharded says of which kind a channel is: those that no shard owns come first.
func isSharded(channel string) bool { return channel >= matrixPrefix+"x" }

// publish publishes the next number of a channel.
func (p *matrixPublisher) publish(channel, padding string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	addr := p.homes[channel][0]
	client := p.wrapped[addr]
	if client == nil {
		// It waits for a server that is stopped. One that is down it asks again
		// each time: a pool of which no dial succeeds would not, for a while.
		rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Minute})
		client = tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(p.provider))
		p.clients[addr], p.wrapped[addr] = rdb, client
	}
	p.numbers.Lock()
	p.next[channel]++
	seq := p.next[channel]
	p.numbers.Unlock()

	publish := client.Publish
	if isSharded(channel) {
		publish = client.SPublish
	}
	err := publish(context.Background(), channel, payload(seq, padding)).Err()

	p.numbers.Lock()
	defer p.numbers.Unlock()
	if err == nil {
		p.taken[channel] = seq
		return
	}
	p.last = err
	if owner, moved := redis.IsMovedError(err); moved {
		homes := slices.DeleteFunc(p.homes[channel], func(a string) bool { return a == owner })
		p.homes[channel] = slices.Insert(homes, 0, owner)
		return
	}
	_ = p.clients[addr].Close()
	delete(p.clients, addr)
	delete(p.wrapped, addr)
	p.homes[channel] = append(p.homes[channel][1:], addr)
}

// acked returns the last number of a channel that a server took.
func (p *matrixPublisher) acked(channel string) int {
	p.numbers.Lock()
	defer p.numbers.Unlock()
	return p.taken[channel]
}

func (p *matrixPublisher) state() string {
	p.numbers.Lock()
	defer p.numbers.Unlock()
	return fmt.Sprintf("%v (last error: %v)", p.taken, p.last)
}

// refer starts the reference, and returns when it hears all channels.
func (s *scene) refer(t *testing.T) {
	t.Helper()
	var loops sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		loops.Wait()
	})
	var confirmed sync.WaitGroup
	for _, channel := range slices.Concat(s.classic, s.sharded) {
		confirmed.Add(1)
		ready := sync.OnceFunc(confirmed.Done)
		addrs := slices.Clone(s.publisher.homes[channel])
		loops.Go(func() { follow(ctx, addrs, channel, ready, s.reference) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		confirmed.Wait()
	}()
	select {
	case <-done:
	case <-time.After(tracetest.Patience):
		cancel()
		t.Fatal("the reference is not ready")
	}
}

// follow is the reference for one channel: a connection, and the next as soon as
// it is lost.
func follow(ctx context.Context, addrs []string, channel string, ready func(), h *history) {
	tick := time.NewTicker(publishInterval)
	defer tick.Stop()
	for {
		err := hear(ctx, addrs[0], channel, ready, h)
		if _, owner, moved := strings.Cut(err.Error(), "MOVED "); moved {
			_, addr, _ := strings.Cut(owner, " ")
			addrs = slices.Insert(slices.DeleteFunc(addrs, func(a string) bool { return a == addr }), 0, addr)
		} else {
			addrs = append(addrs[1:], addrs[0])
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

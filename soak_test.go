// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

var (
	soakTime = flag.Duration("soak", 0, "how long TestSoak runs; 0 is 5s, or 30s where CI is set")
	soakSeed = flag.Uint64("soakseed", 0, "repeat the faults of a run of TestSoak; 0 is a new seed")
)

// soakFault is a fault that strikes all subscriptions of the soak.
type soakFault struct {
	name    string
	strikes func(t *testing.T, server *redistest.Server, proxy *redistest.Proxy, wait func())
}

var soakFaults = []soakFault{
	{"CLIENT KILL", func(t *testing.T, server *redistest.Server, _ *redistest.Proxy, _ func()) {
		rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
		defer func() { _ = rdb.Close() }()
		if err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Errorf("CLIENT KILL: %v", err)
		}
	}},
	{"restart", func(_ *testing.T, server *redistest.Server, _ *redistest.Proxy, _ func()) { server.Restart() }},
	{"down", func(_ *testing.T, server *redistest.Server, _ *redistest.Proxy, wait func()) {
		server.Kill()
		wait()
		server.Restart()
	}},
	{"stopped", func(_ *testing.T, server *redistest.Server, _ *redistest.Proxy, wait func()) {
		server.Pause()
		wait()
		server.Resume()
	}},
	{"cut", func(_ *testing.T, _ *redistest.Server, proxy *redistest.Proxy, _ func()) { proxy.Cut() }},
	{"refused", func(_ *testing.T, _ *redistest.Server, proxy *redistest.Proxy, wait func()) {
		proxy.Refuse()
		proxy.Cut()
		wait()
		proxy.Accept()
	}},
	{"stalled", func(_ *testing.T, _ *redistest.Server, proxy *redistest.Proxy, wait func()) {
		proxy.Stall()
		wait()
		proxy.Resume()
	}},
	{"split", func(_ *testing.T, _ *redistest.Server, proxy *redistest.Proxy, _ func()) {
		proxy.SplitBytes(true)
		lasting(50 * time.Millisecond)
		proxy.SplitBytes(false)
	}},
	{"black hole", func(_ *testing.T, _ *redistest.Server, proxy *redistest.Proxy, wait func()) {
		proxy.BlackHole()
		proxy.Cut()
		wait()
		proxy.Accept()
	}},
	// The last: it takes its time, and there must be enough of it left.
	{"half-open", func(_ *testing.T, _ *redistest.Server, proxy *redistest.Proxy, _ func()) { proxy.DropSilently() }},
}

// TestSoak publishes as fast as the subscribers take it, on a channel of its own
// for nearly each message, through one fault after the other. In the end
// everything must add up, and memory must be what it was.
func TestSoak(t *testing.T) {
	length, seed := *soakTime, *soakSeed
	if length == 0 {
		if length = 5 * time.Second; os.Getenv("CI") != "" {
			length = 30 * time.Second
		}
	}
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("%v with -soakseed %d", length, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	server, _ := startServer(t, unlimited...)
	proxy := redistest.NewProxy(t, server.Addr())
	p := newSoakPublisher(t, server)
	p.soakers = newSoakers(t, proxy, p.sent)
	var work sync.WaitGroup
	done := make(chan struct{})
	work.Go(func() { p.run(done) })
	work.Go(func() { p.soakers[0].comeAndGo(done) })
	heap := make(chan []uint64, 1)
	work.Go(func() { heap <- sampleHeap(length, done) })

	for end := time.Now().Add(length); time.Now().Before(end); {
		faults := soakFaults
		if time.Until(end) < 2*halfOpen {
			faults = faults[:len(faults)-1]
		}
		f := faults[random.IntN(len(faults))]
		f.strikes(t, server, proxy, func() { lasting(time.Duration(random.Int64N(int64(time.Second)))) })
		p.awaitReturn(t, f.name)
		lasting(time.Duration(random.Int64N(int64(500 * time.Millisecond))))
	}
	close(done)
	work.Wait()
	p.awaitLast(t)
	for _, s := range p.soakers {
		s.close(t)
	}
	for _, s := range p.soakers {
		s.check(t)
	}
	if started, ended := p.spans.started.Load(), p.spans.ended.Load(); started != ended {
		t.Errorf("the publisher started %d spans, and ended %d", started, ended)
	}
	t.Logf("%d messages, %d channels", p.next.Load(), p.next.Load()*3/soakPattern)
	assertFlat(t, <-heap)
}

// sampleHeap measures the heap after garbage collections, forty times.
func sampleHeap(length time.Duration, done <-chan struct{}) (samples []uint64) {
	tick := time.NewTicker(length / 40)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-done:
			return samples
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		samples = append(samples, m.HeapAlloc)
	}
}

// assertFlat asserts that the heap of the second half is within a tenth of that
// of the first. Of a heap of a few megabytes, one is not a leak.
func assertFlat(t *testing.T, samples []uint64) {
	t.Helper()
	median := func(s []uint64) uint64 {
		s = slices.Sorted(slices.Values(s))
		return s[len(s)/2]
	}
	if len(samples) < 10 {
		t.Fatalf("only %d samples of the heap", len(samples))
	}
	first, second := median(samples[:len(samples)/2]), median(samples[len(samples)/2:])
	t.Logf("heap: %d kB in the first half, %d kB in the second", first>>10, second>>10)
	if second > first+max(first/10, 1<<20) {
		t.Errorf("heap is %d bytes in the second half, %d in the first", second, first)
	}
}

// neverSent says that err shows that nothing went out.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// publishBatch publishes the numbers from n on, and says whether the server may
// have got any.
func (p *soakPublisher) publishBatch(n int64) bool {
	ctx := context.Background()
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := n; i < n+soakBatch; i++ {
			switch i % soakPattern {
			case soakSteady:
				p.client.PublishTo(ctx, pipe, "soak:steady", payload(int(i), ""))
			case soakShard:
				p.client.SPublishTo(ctx, pipe, "soak:shard", payload(int(i), ""))
			default:
				p.client.PublishTo(ctx, pipe, fmt.Sprint("soak:", i), payload(int(i), ""))
			}
		}
		return nil
	})
	if err != nil {
		p.failed.Add(1)
	}
	return !neverSent(err)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"flag"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var (
	soakTime = flag.Duration("soak", 0, "how long TestSoak runs; 0 is 1s, or 30s with the tests that take long")
	soakSeed = flag.Uint64("soakseed", 0, "repeat the faults of a run of TestSoak; 0 is a new seed")
)

// soakFewest is the least number of faults, no matter how long they take: two for each
// half of the run.
const soakFewest = 4

// soakEnd is the time that the end of a run may take, right after the slowest fault.
const soakEnd = time.Minute

// TestSoak publishes as fast as the subscribers read, nearly each message on a channel of
// its own, through one fault after the other. In the end the sums must be right, and the
// heap must not have grown.
//
// A message counts as lost if it is not received and the server has got it, or may have
// got it.
func TestSoak(t *testing.T) {
	length := *soakTime
	if length == 0 {
		if length = time.Second; redistest.RunsLong() {
			length = 30 * time.Second
		}
	}
	random := soakRandom(t)
	w := newSoakWorld(t, random)
	w.publisher.fill(t)
	heap, channels := soak(t, w, length, soakFewest)
	assertFlat(t, heap, channels)
}

// TestSoakFailovers is TestSoak where other servers take over: on sentinels and on a cluster,
// both at once. Without -soak, it is one of the tests that take long, and each world has one
// fault, as a fault takes ten seconds. It leaves out the heap, which is mostly that of the
// proxies.
func TestSoakFailovers(t *testing.T) {
	fewest := soakFewest
	if *soakTime == 0 {
		redistest.Long(t)
		fewest = 1
	}
	random := soakRandom(t)
	seeds := []*rand.Rand{rand.New(rand.NewPCG(random.Uint64(), 0)), rand.New(rand.NewPCG(random.Uint64(), 0))}
	var worlds sync.WaitGroup
	for i, world := range []struct {
		name  string
		start func(*testing.T, *rand.Rand) *soakWorld
	}{{"sentinels", newSentinelSoakWorld}, {"cluster", newClusterSoakWorld}} {
		worlds.Go(func() {
			t.Run(world.name, func(t *testing.T) { soak(t, world.start(t, seeds[i]), *soakTime, fewest) })
		})
	}
	worlds.Wait()
}

// soakRandom returns where the faults of a run come from.
func soakRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-soakseed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// soak does faults for some time, and fewest of them at least. It returns the heap during the
// run, and the number of channels.
func soak(t *testing.T, w *soakWorld, length time.Duration, fewest int) (heap []uint64, channels int64) {
	t.Helper()
	if deadline, ok := t.Deadline(); ok && length > time.Until(deadline)-soakEnd {
		length = time.Until(deadline) - soakEnd
		t.Logf("-timeout leaves %v", length)
	}
	p := w.publisher
	var work sync.WaitGroup
	done := make(chan struct{})
	work.Go(func() { p.run(done) })
	work.Go(func() { p.soakers[0].comeAndGo(done) })
	heap, struck := w.strike(t, length, fewest)
	close(done)
	work.Wait()
	p.awaitLast(t)
	for _, s := range p.soakers {
		s.deliveries.await(t)
	}
	for _, s := range p.soakers {
		s.close(t)
	}
	for _, s := range p.soakers {
		s.check(t)
	}
	if started, ended := p.spans.started.Load(), p.spans.ended.Load(); started != ended {
		t.Errorf("the publisher started %d spans, and ended %d", started, ended)
	}
	channels = p.next.Load() * 3 / soakPattern
	t.Logf("%d messages, %d channels, faults: %v", p.next.Load(), channels, struck)
	return heap, channels
}

// strike does one fault after the other. It returns the heap, measured while all subscriptions
// are ready, and how often it did each fault.
func (w *soakWorld) strike(t *testing.T, length time.Duration, fewest int) (heap []uint64, struck map[string]int) {
	t.Helper()
	struck = make(map[string]int)
	for end := time.Now().Add(length); time.Now().Before(end) || len(heap) < fewest; {
		faults := w.faults
		if time.Until(end) > 2*halfOpen {
			faults = slices.Concat(w.faults, w.slow)
		}
		f := faults[w.random.IntN(len(faults))]
		t.Logf("%v: %s", clock(time.Now()), f.name)
		f.strikes(t, w)
		struck[f.name]++
		w.publisher.awaitReturn(t, f.name)
		for _, s := range w.publisher.soakers {
			s.account(t, time.Now().Add(-soakMemory))
		}
		w.publisher.restart()
		heap = append(heap, heapInUse())
		tracetest.LetTimePass(time.Duration(w.random.Int64N(int64(500 * time.Millisecond))))
	}
	return heap, struck
}

// heapInUse returns the size of the heap after a garbage collection. It measures several
// times and takes the least, as messages are under way, and collects twice, as the first
// collection does not empty pools.
func heapInUse() uint64 {
	least := uint64(math.MaxUint64)
	for range 5 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		least = min(least, m.HeapAlloc)
		tracetest.LetTimePass(5 * time.Millisecond)
	}
	return least
}

// assertFlat asserts that the least heap of the second half is within a tenth of the
// least heap of the first half. In a run of less than a million channels the heap is
// small and still grows to its normal size, so a megabyte more is allowed.
func assertFlat(t *testing.T, samples []uint64, channels int64) {
	t.Helper()
	first, second := slices.Min(samples[:len(samples)/2]), slices.Min(samples[len(samples)/2:])
	t.Logf("heap: %d kB in the first half, %d kB in the second", first>>10, second>>10)
	limit := first + first/10
	if channels < 1_000_000 {
		limit = max(limit, first+1<<20)
	}
	if second > limit {
		t.Errorf("heap is %d bytes in the second half, %d in the first", second, first)
	}
}

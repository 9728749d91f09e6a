// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var (
	soakTime = flag.Duration("soak", 0, "how long TestSoak runs; 0 is 5s, or 30s where CI is set")
	soakSeed = flag.Uint64("soakseed", 0, "repeat the faults of a run of TestSoak; 0 is a new seed")
)

// soakFewest is how many faults there are at least, however long they take: two for
// each half.
const soakFewest = 4

// soakEnd is what the end of the soak may take: the slowest fault has just struck.
const soakEnd = time.Minute

// TestSoak publishes as fast as the subscribers take it, on a channel of its own
// for nearly each message, through one fault after the other. In the end
// everything must add up, and memory must be what it was.
//
// A message that the server has taken, or may have taken, is lost if it does not
// come: that is more than what a reference could tell of.
func TestSoak(t *testing.T) {
	length, seed := *soakTime, *soakSeed
	if length == 0 {
		if length = 5 * time.Second; os.Getenv("CI") != "" {
			length = 30 * time.Second
		}
	}
	if deadline, ok := t.Deadline(); ok && length > time.Until(deadline)-soakEnd {
		length = time.Until(deadline) - soakEnd
		t.Logf("-timeout leaves %v", length)
	}
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("%v with -soakseed %d", length, seed)
	random := rand.New(rand.NewPCG(seed, 0))

	w := newSoakWorld(t, random)
	p := w.publisher
	var work sync.WaitGroup
	done := make(chan struct{})
	work.Go(func() { p.run(done) })
	work.Go(func() { p.soakers[0].comeAndGo(done) })
	var heap []uint64 // at moments when all is well: what is not answered yet takes its room

	struck := make(map[string]int)
	for end := time.Now().Add(length); time.Now().Before(end) || len(heap) < soakFewest; {
		faults := soakFaults
		if time.Until(end) < 2*halfOpen {
			faults = faults[:len(faults)-1]
		}
		f := faults[random.IntN(len(faults))]
		f.strikes(t, w)
		struck[f.name]++
		p.awaitReturn(t, f.name)
		for _, s := range p.soakers {
			s.account(t, time.Now().Add(-soakMemory))
		}
		heap = append(heap, heapInUse())
		tracetest.LetTimePass(time.Duration(random.Int64N(int64(500 * time.Millisecond))))
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
	channels := p.next.Load() * 3 / soakPattern
	t.Logf("%d messages, %d channels, faults: %v", p.next.Load(), channels, struck)
	assertFlat(t, heap, channels)
}

// heapInUse is how large the heap is after a garbage collection, at the moment of
// several when the least messages are under way. What was in pools is gone after two.
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

// assertFlat asserts that the heap of the second half is within a tenth of that
// of the first, at the moments when it held least: what leaks never goes away. A
// run of less than a million channels has not warmed up before it is over: of a
// heap of a few megabytes, one is no leak yet.
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

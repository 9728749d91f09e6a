// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"slices"
	"sort"
	"time"
)

// window holds what is known of the numbers of a stream: all from base to last have arrived or
// are lost, but for the gaps.
type window struct {
	base, last int64 // the first number that arrived, and the largest one
	gaps       []gap // what is missing and not lost, in the order of the numbers

	// All lost numbers are between these two. What is smaller than last, not missing, and not
	// between these two has arrived. Otherwise it may have come late.
	firstLost, lastLost int64

	behind int // the number of messages in a row that were far behind last
}

// gap is a range of missing numbers. They were found to be missing at the same time.
type gap struct {
	first, last int64
	found       time.Duration
}

func (g gap) len() int64 { return g.last - g.first + 1 }

func newWindow(number int64) window {
	return window{base: number, last: number, firstLost: -1, lastLost: -1}
}

func (w *window) arrive(number int64, now time.Duration) (a Arrival) {
	if w.last-number <= farBehind {
		w.behind = 0
	} else if w.behind++; w.behind == wrongAfter {
		*w = newWindow(number)
		return a
	}
	switch {
	case number < w.base: // published before the subscriber began to count
	case number > w.last:
		return w.advance(number, now)
	default:
		a.Duplicate = !w.fill(number) && (number < w.firstLost || number > w.lastLost)
	}
	return a
}

// advance handles the arrival of a number that is larger than all before.
func (w *window) advance(number int64, now time.Duration) (a Arrival) {
	a.Skipped = number - w.last - 1
	if a.Skipped > MaxSkipped {
		*w = newWindow(number)
		return a
	}
	if a.Skipped > 0 {
		w.gaps = append(w.gaps, gap{w.last + 1, number - 1, now})
	}
	w.last = number
	return a
}

// fill takes a number out of the gap that it is in. It reports whether there is one.
func (w *window) fill(number int64) bool {
	i := sort.Search(len(w.gaps), func(i int) bool { return w.gaps[i].last >= number })
	if i == len(w.gaps) || w.gaps[i].first > number {
		return false
	}
	switch g := &w.gaps[i]; {
	case g.len() == 1:
		w.remove(i, 1)
	case number == g.first:
		g.first++
	case number == g.last:
		g.last--
	default:
		before := gap{g.first, number - 1, g.found}
		g.first = number + 1
		w.gaps = slices.Insert(w.gaps, i, before)
	}
	return true
}

// expire returns how many numbers are lost because they have been missing since the time
// found or longer.
func (w *window) expire(found time.Duration) int64 {
	i := 0
	for i < len(w.gaps) && w.gaps[i].found <= found {
		i++
	}
	return w.lose(i)
}

// lose removes the first n gaps, since their numbers are lost, and returns how many these are.
func (w *window) lose(n int) (lost int64) {
	if n == 0 {
		return 0
	}
	for _, g := range w.gaps[:n] {
		lost += g.len()
	}
	if w.lastLost < 0 {
		w.firstLost = w.gaps[0].first
	}
	w.firstLost, w.lastLost = min(w.firstLost, w.gaps[0].first), max(w.lastLost, w.gaps[n-1].last)
	w.remove(0, n)
	return lost
}

// remove removes n gaps, from that with the index i on. It gives the room of many gaps back.
func (w *window) remove(i, n int) {
	many := len(w.gaps) > keptGaps
	if many && i == 0 {
		w.gaps = w.gaps[n:]
	} else {
		w.gaps = slices.Delete(w.gaps, i, i+n)
	}
	if many && len(w.gaps) <= keptGaps {
		w.gaps = append(make([]gap, 0, keptGaps), w.gaps...)
	}
}

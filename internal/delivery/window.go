// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"math/bits"
	"time"
)

// window holds the state of the last numbers of a stream, as receivers of RTP and IPsec do.
// Bit i of a set stands for the number last-i.
type window struct {
	base, last int64  // the first number that arrived, and the largest one
	arrived    uint64 // what has arrived, or is smaller than base
	lost       uint64 // what is lost

	gaps []gap // what is missing, in the order of the numbers

	// All lost numbers are between these two. What is smaller than the window, and not between
	// them, has arrived. Otherwise it may have come late.
	firstLost, lastLost int64
}

// gap is a range of numbers that a later number has skipped. They were found to be missing
// at the same time. In between, some may have arrived.
type gap struct {
	last  int64
	found time.Duration
}

func newWindow(number int64) window {
	return window{base: number, last: number, arrived: ^uint64(0), firstLost: -1, lastLost: -1}
}

// missing returns the set of the numbers that have neither arrived nor are lost.
func (w *window) missing() uint64 { return ^(w.arrived | w.lost) }

func (w *window) arrive(number int64, now time.Duration) (a Arrival) {
	switch age := w.last - number; {
	case number < w.base: // published before the subscriber began to count
	case age < 0:
		return w.advance(number, now)
	case age < Window:
		bit := uint64(1) << age
		a.Duplicate = w.arrived&bit != 0
		w.arrived |= bit
		w.dropGaps()
	default:
		a.Duplicate = number < w.firstLost || number > w.lastLost
	}
	return a
}

// advance moves the window to a number that is larger than all before.
func (w *window) advance(number int64, now time.Duration) (a Arrival) {
	step := number - w.last
	a.Skipped = step - 1
	leaving := w.missing()
	if step < Window {
		leaving &= ^uint64(0) << (Window - step)
		w.arrived, w.lost = w.arrived<<step, w.lost<<step
	} else {
		w.arrived, w.lost = 0, 0
	}
	a.Lost = int64(bits.OnesCount64(leaving)) + max(0, step-Window)
	w.noteLost(leaving)
	if step > Window { // these were never in the window
		w.noteRange(w.last+1, number-Window)
	}
	w.arrived |= 1
	if step > 1 {
		w.gaps = append(w.gaps, gap{number - 1, now})
	}
	w.last = number
	w.dropGaps()
	return a
}

// expire returns how many numbers are lost because they have been missing since the time
// found or longer.
func (w *window) expire(found time.Duration) (n int64) {
	i := 0
	for i < len(w.gaps) && w.gaps[i].found <= found {
		i++
	}
	if i == 0 {
		return 0
	}
	last := w.gaps[i-1].last
	expired := w.missing() & (^uint64(0) << (w.last - last))
	w.lost |= expired
	w.noteLost(expired)
	w.dropGaps()
	return int64(bits.OnesCount64(expired))
}

// noteLost records that a set of numbers is lost.
func (w *window) noteLost(set uint64) {
	if set != 0 {
		w.noteRange(w.last-int64(bits.Len64(set)-1), w.last-int64(bits.TrailingZeros64(set)))
	}
}

func (w *window) noteRange(first, last int64) {
	if w.lastLost < 0 {
		w.firstLost = first
	}
	w.firstLost, w.lastLost = min(w.firstLost, first), max(w.lastLost, last)
}

// dropGaps removes the gaps in front of the first missing number. Those that remain are in
// the window, with a number that has arrived behind each, so there are at most 32.
func (w *window) dropGaps() {
	missing := w.missing()
	first := w.last - int64(bits.Len64(missing)-1) // more than w.last if nothing is missing
	i := 0
	for i < len(w.gaps) && w.gaps[i].last < first {
		i++
	}
	if i > 0 {
		w.gaps = append(w.gaps[:0], w.gaps[i:]...)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// remembered is how many of the last numbers of a channel a tally knows.
const remembered = 1 << 16

// tally is what a subscriber has received on a channel, by the numbers that the publisher of
// the test has counted.
type tally struct {
	first, last     int64 // 0 before the first message
	distinct, again int64 // how many numbers arrived, and how many messages had one that had arrived
	forgotten       int64 // messages with a number that is not remembered
	arrived         [remembered / 64]uint64
}

// add adds a message. It returns how many numbers are missing right before it.
func (c *tally) add(number int64) (skipped int64) {
	switch {
	case c.first == 0:
		c.first, c.last = number, number
	case number > c.last:
		skipped = number - c.last - 1
		for n := max(c.last+1, number-remembered+1); n < number; n++ {
			*c.word(n) &^= bit(n)
		}
		c.last = number
	case number < c.first || number <= c.last-remembered:
		c.forgotten++
		return 0
	case *c.word(number)&bit(number) != 0:
		c.again++
		return 0
	}
	*c.word(number) |= bit(number)
	c.distinct++
	return skipped
}

func (c *tally) word(number int64) *uint64 { return &c.arrived[number%remembered/64] }

func bit(number int64) uint64 { return 1 << (number % 64) }

// lost returns how many messages were published from the first to the last one that was
// received, and not received.
func (c *tally) lost() int64 { return c.last - c.first + 1 - c.distinct }

// deliveries compares what a subscription counts of its messages with what the test has counted.
type deliveries struct {
	meters *tracetest.Metrics // of the subscription

	mu      sync.Mutex
	tallies map[string]*tally // by channel
	alone   tally             // those that are alone on their channel
	wrong   []string          // messages that have not skipped what is missing before them
}

func newDeliveries(t *testing.T) *deliveries {
	t.Helper()
	return &deliveries{meters: tracetest.NewMetrics(t), tallies: make(map[string]*tally)}
}

// add adds a message with its number on its channel, and what it has skipped.
func (d *deliveries) add(channel string, number, skipped int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.tallies[channel]
	if c == nil {
		c = new(tally)
		d.tallies[channel] = c
	}
	d.assertSkipped(channel, number, skipped, c.add(number))
}

// addAlone adds a message that has a channel of its own. number is any number that no other
// such message has.
func (d *deliveries) addAlone(channel string, number, skipped int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alone.add(number)
	d.assertSkipped(channel, number, skipped, 0)
}

func (d *deliveries) assertSkipped(channel string, number, skipped, want int64) {
	if skipped != want && len(d.wrong) < 10 {
		d.wrong = append(d.wrong, fmt.Sprintf("%s: number %d has skipped %d, want %d", channel, number, skipped, want))
	}
}

// sums returns what the test has counted on all channels.
func (d *deliveries) sums() (received, lost, again, forgotten int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.tallies {
		received += c.distinct
		lost += c.lost()
		again += c.again
		forgotten += c.forgotten
	}
	return received + d.alone.distinct, lost, again + d.alone.again, forgotten + d.alone.forgotten
}

// await waits until the subscription has counted what is lost. What it counts too much is then
// in what a message has skipped.
func (d *deliveries) await(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	_, lost, _, _ := d.sums()
	for late := time.After(lossPatience + tracetest.Patience); d.meters.Total(t, tracetest.DeliveryLost) < lost; {
		select {
		case <-tick.C:
		case <-late: // check says what is wrong
			return
		}
	}
}

// lossPatience is how long a subscription waits for a message that is missing.
const lossPatience = 5 * time.Second

// check asserts that the subscription has counted the same as the test.
func (d *deliveries) check(t *testing.T) {
	t.Helper()
	received, lost, again, forgotten := d.sums()
	t.Logf("of %d messages, %d were received, %d of them twice, and %d were lost", received+lost, received, again, lost)
	if got := d.meters.Total(t, tracetest.DeliveryLost); got != lost {
		t.Errorf("%d messages are counted as lost, want %d: %d were published and %d received", got, lost, received+lost, received)
	}
	if got := d.meters.Total(t, tracetest.DeliveryDuplicates); got != again {
		t.Errorf("%d messages are counted as duplicates, want %d", got, again)
	}
	if forgotten > 0 {
		t.Errorf("%d messages are too old", forgotten)
	}
	for _, wrong := range d.wrong {
		t.Error(wrong)
	}
}

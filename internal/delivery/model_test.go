// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/delivery"
)

// model is a second implementation for one stream, as plain as possible: it keeps every number.
type model struct {
	base, last int64 // base is 0 before the first message
	arrived    map[int64]bool
	missing    map[int64]time.Duration // since when
	lost       map[int64]bool
}

func newModel() *model {
	return &model{arrived: map[int64]bool{}, missing: map[int64]time.Duration{}, lost: map[int64]bool{}}
}

func (m *model) arrive(number int64, now time.Duration) (a delivery.Arrival) {
	switch {
	case m.base == 0:
		m.base, m.last = number, number
	case number < m.base:
		return a
	case number > m.last:
		for n := m.last + 1; n < number; n++ {
			m.missing[n] = now
			a.Skipped++
		}
		m.last = number
	default:
		a.Duplicate = m.arrived[number]
	}
	m.arrived[number] = true
	delete(m.missing, number)
	return a
}

func (m *model) expire(now time.Duration) (lost int64) {
	for n, since := range m.missing {
		if now-since >= 5*time.Second {
			delete(m.missing, n)
			m.lost[n] = true
			lost++
		}
	}
	return lost
}

// unknown reports whether a stream cannot know if a number has arrived before: it is between
// lost ones.
func (m *model) unknown(number int64) bool {
	smaller, larger := false, false
	for n := range m.lost {
		smaller, larger = smaller || n <= number, larger || n >= number
	}
	return smaller && larger
}

// comparison makes the same calls on a stream and on its model.
type comparison struct {
	streams delivery.Streams
	model   *model
	now     time.Duration
	log     []string
}

func (c *comparison) arrive(t *testing.T, number int64) {
	t.Helper()
	c.log = append(c.log, fmt.Sprintf("%v: %d arrives", c.now, number))
	unknown := c.model.unknown(number)
	got, want := c.streams.Arrive(delivery.Key{Source: "a"}, "", number, c.now), c.model.arrive(number, c.now)
	want.Duplicate = want.Duplicate && !unknown
	if got != want {
		t.Fatalf("got %+v, want %+v, after\n%v", got, want, c.log[max(0, len(c.log)-80):])
	}
	c.compareWaiting(t)
}

func (c *comparison) pass(t *testing.T, d time.Duration) {
	t.Helper()
	c.now += d
	c.log = append(c.log, fmt.Sprintf("%v: expire", c.now))
	var got int64
	for _, loss := range c.streams.Expire(c.now) {
		got += loss.Messages
	}
	if want := c.model.expire(c.now); got != want {
		t.Fatalf("%d are lost, want %d, after\n%v", got, want, c.log[max(0, len(c.log)-80):])
	}
	c.compareWaiting(t)
}

func (c *comparison) compareWaiting(t *testing.T) {
	t.Helper()
	if got, want := c.streams.Waiting(), len(c.model.missing) > 0; got != want {
		t.Fatalf("Waiting() = %v, want %v, after\n%v", got, want, c.log[max(0, len(c.log)-80):])
	}
}

// A stream counts as the model does, with every kind of disorder.
func TestStreamCountsLikeItsModel(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 13))
		c := &comparison{model: newModel()}
		next := random.Int64N(100) + 1
		spread := []int64{1, 3, 20, 70, 200}[random.IntN(5)]
		for range 400 {
			switch random.IntN(10) {
			case 0:
				c.pass(t, time.Duration(random.IntN(3000))*time.Millisecond)
			case 1:
				next += random.Int64N(spread) // some are lost
			case 2, 3:
				c.arrive(t, max(1, next-random.Int64N(spread))) // late, or once more
			default:
				c.arrive(t, next)
				next++
			}
		}
		c.pass(t, 5*time.Second)
		if c.streams.Waiting() {
			t.Fatalf("seed %d: something is missing for ever", seed)
		}
	}
}

// FuzzStream asserts the same for whatever order the fuzzer finds. A byte is a step: a number
// ahead of or behind the last one, or time that passes.
func FuzzStream(f *testing.F) {
	f.Add([]byte{1, 1, 1})
	f.Add([]byte{3, 0x80, 0x81, 0x82, 1, 0xff, 1})
	f.Add([]byte{0x3f, 0x40, 0x41, 0x7f, 0x80, 0xbf, 0xff, 0xc8})
	f.Fuzz(func(t *testing.T, steps []byte) {
		c := &comparison{model: newModel()}
		number := int64(1000)
		c.arrive(t, number)
		for _, step := range steps[:min(len(steps), 500)] {
			switch {
			case step < 0x80: // ahead
				number += int64(step)
				c.arrive(t, number)
			case step < 0xc0: // a little behind
				c.arrive(t, number-int64(step-0x80))
			case step < 0xe0: // far behind
				c.arrive(t, number-60-int64(step-0xc0))
			default:
				c.pass(t, time.Duration(step-0xe0)*250*time.Millisecond)
			}
		}
	})
}

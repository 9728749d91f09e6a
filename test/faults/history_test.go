// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// arrival is a message that was received.
type arrival struct {
	channel  string
	seq      int
	sent, at time.Time
}

// history is what a subscriber has received, in the order in which it did.
type history struct {
	mu       sync.Mutex
	arrivals []arrival
	last     map[string]arrival
	count    map[string]int
	strange  []string // payloads that are not of the publisher
}

func newHistory() *history {
	return &history{last: make(map[string]arrival), count: make(map[string]int)}
}

// payload returns a payload with a number and the time; padding makes it longer.
func payload(seq int, padding string) string {
	return fmt.Sprintf("%d %d %s", seq, time.Now().UnixNano(), padding)
}

// add adds a message that is received now, and returns its number.
func (h *history) add(channel, payload string) (seq int) {
	a := arrival{channel: channel, at: time.Now()}
	number, rest, _ := strings.Cut(payload, " ")
	sent, _, _ := strings.Cut(rest, " ")
	seq, errSeq := strconv.Atoi(number)
	nano, errSent := strconv.ParseInt(sent, 10, 64)
	h.mu.Lock()
	defer h.mu.Unlock()
	if errSeq != nil || errSent != nil {
		h.strange = append(h.strange, payload)
		return 0
	}
	a.seq, a.sent = seq, time.Unix(0, nano)
	h.arrivals = append(h.arrivals, a)
	h.last[channel] = a
	h.count[channel]++
	return seq
}

func (h *history) all() []arrival {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.arrivals)
}

func (h *history) counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.count)
}

// lastSeq returns the last number of each channel.
func (h *history) lastSeq() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := make(map[string]int)
	for channel, a := range h.last {
		last[channel] = a.seq
	}
	return last
}

// lastSent returns when the last message of each channel was published.
func (h *history) lastSent() map[string]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := make(map[string]time.Time)
	for channel, a := range h.last {
		last[channel] = a.sent
	}
	return last
}

// spanCount is a span processor that counts.
type spanCount struct{ started, ended atomic.Int64 }

func (c *spanCount) OnStart(context.Context, sdktrace.ReadWriteSpan) { c.started.Add(1) }

func (c *spanCount) OnEnd(sdktrace.ReadOnlySpan) { c.ended.Add(1) }

func (c *spanCount) Shutdown(context.Context) error { return nil }

func (c *spanCount) ForceFlush(context.Context) error { return nil }

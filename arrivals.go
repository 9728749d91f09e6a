// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/delivery"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// arrivals counts what a subscription has missed. It needs no goroutine: a timer runs while
// something is missing.
//
// Nothing of the application's is called while mu is held.
type arrivals struct {
	telemetry *telemetry.Telemetry
	server    *telemetry.Server

	// blocked is set while the subscription cannot read because no consumer takes a message.
	// What is missing may wait in the socket then, so the clock stands still.
	blocked atomic.Bool

	mu      sync.Mutex
	streams delivery.Streams
	clock   time.Duration // advances with each tick
	timer   *time.Timer   // nil until something is missing
	ticking bool
	closed  bool
}

// tick is how often it is checked if something has been missing for too long.
const tick = 250 * time.Millisecond

// add adds a message that has arrived, and sets what it has skipped.
func (a *arrivals) add(m *Message, accounting *wire.Accounting) {
	if accounting.Source == "" {
		return
	}
	key := delivery.Key{Source: accounting.Source, Channel: m.Channel, Pattern: m.Pattern}
	a.mu.Lock()
	// The next tick may come soon, so what is missing counts from then on.
	arrival := a.streams.Arrive(key, m.template, accounting.Sequence, a.clock+tick)
	a.keepTicking()
	a.mu.Unlock()

	m.Skipped = arrival.Skipped
	if arrival.Lost > 0 {
		a.telemetry.CountLost(context.Background(), a.server, m.template, arrival.Lost)
	}
	if arrival.Duplicate {
		a.telemetry.CountDuplicate(context.Background(), a.server, m.template)
	}
}

// keepTicking sets the timer if something is missing. The caller holds a.mu.
func (a *arrivals) keepTicking() {
	switch {
	case a.ticking || a.closed || !a.streams.Waiting():
		return
	case a.timer == nil:
		a.timer = time.AfterFunc(tick, a.advance)
	default:
		a.timer.Reset(tick)
	}
	a.ticking = true
}

// advance advances the clock, and counts what is lost by now.
func (a *arrivals) advance() {
	a.mu.Lock()
	a.ticking = false
	if a.closed {
		a.mu.Unlock()
		return
	}
	if !a.blocked.Load() {
		a.clock += tick // and no more, since the process may have been stopped meanwhile
	}
	losses := a.streams.Expire(a.clock)
	a.keepTicking()
	a.mu.Unlock()

	for _, loss := range losses {
		a.telemetry.CountLost(context.Background(), a.server, loss.Template, loss.Messages)
	}
}

// forget forgets what has arrived on channels or patterns.
func (a *arrivals) forget(names []string, arePatterns bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		a.streams.Forget(name, arePatterns)
	}
}

// close ends counting. What is missing then is not counted.
func (a *arrivals) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"slices"
	"time"
)

// How a server is found to be dead that has not said so, its cable cut. All of this counts
// only while a read waits for the server.
const (
	healthInterval = time.Second
	pingSilence    = 5 * time.Second
	deadSilence    = 18 * time.Second
)

// A topic that has moved is subscribed to again after retryDelay. While that does not
// help, the delay doubles, up to the healthInterval.
const retryDelay = 20 * time.Millisecond

// health is the timer of the health check, which looks at all connections. It is part of
// the state.
type health struct {
	timer *time.Timer
	soon  bool // the next check comes early
	delay time.Duration

	placing bool // a check compares topics with their owners
}

func (h *health) schedule(s *Subscription, d time.Duration) {
	if h.timer == nil {
		h.timer = time.AfterFunc(d, s.checkHealth)
		return
	}
	h.timer.Reset(d)
}

func (h *health) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

// retrySoon has the next check come early: topics have moved.
func (h *health) retrySoon(s *Subscription) {
	if h.soon || h.timer == nil || s.state.closed {
		return
	}
	h.soon = true
	h.delay = min(max(2*h.delay, retryDelay), healthInterval)
	h.schedule(s, h.delay)
}

// next schedules the next check. The delay of early ones starts anew when one was not
// early.
func (h *health) next(s *Subscription) {
	if !h.soon {
		h.delay = 0
	}
	h.soon = false
	h.schedule(s, healthInterval)
}

// checkHealth closes connections to servers that are dead, sends PINGs, sees to it that
// topics are on the servers that own them, and subscribes again to those that were
// refused.
func (s *Subscription) checkHealth() {
	var placed []*shard
	busy := false
	s.update(func(st *state) {
		if st.closed {
			return
		}
		st.health.next(s)
		// A cluster that does not answer keeps the check before waiting.
		busy, st.health.placing = st.health.placing, true
		for _, sh := range slices.Clone(st.shards) { // some may retire
			if sh.checkConnection(time.Now()) && sh.spread {
				placed = append(placed, sh)
			}
		}
	})
	if busy {
		return
	}
	for _, sh := range placed {
		s.reconcile(sh)
	}
	if cluster := s.topology.cluster(); cluster != nil {
		s.checkMembers(cluster)
	}
	s.update(func(st *state) {
		st.health.placing = false
		for _, sh := range st.shards {
			if sh.conn != nil && sh.conn.reading {
				sh.resubscribe()
			}
		}
	})
}

// checkConnection closes the connection of sh if its server is dead, and sends a PING if
// that is to be found out. It reports whether there is a connection that is read.
func (sh *shard) checkConnection(now time.Time) bool {
	conn := sh.conn
	if conn == nil || !conn.reading || conn.isClosed() {
		return false
	}
	if sh.spread && sh.idle() {
		sh.state().retire(sh)
		return false
	}
	silence := conn.evidence.observe(now, conn.messages.Load(), conn.busy.Load())
	if silence >= deadSilence {
		conn.close(ErrSilent)
		return false
	}
	// While messages come, a PING in each interval proves until when all were received.
	due := silence >= pingSilence && now.Sub(conn.pinged) >= pingSilence || conn.evidence.unacknowledged
	if due && !conn.waitsFor(func(cmd *command) bool { return cmd.op == opPing }) {
		conn.pinged, conn.evidence.unacknowledged = now, false
		conn.enqueue(&command{op: opPing})
	}
	return true
}

// beginReading notes that conn is read from now on.
func (c *connection) beginReading() {
	c.reading = true
	c.evidence.alive = time.Now()
}

// answered notes that the server has answered cmd, at least for one topic.
func (c *connection) answered(cmd *command) { c.evidence.replied(cmd, c.messages.Load()) }

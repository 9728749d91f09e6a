// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// A server may die without closing its connections. Only the time in which a read waits for
// the server counts as silence.
const (
	// healthInterval is the interval of the health check.
	healthInterval = time.Second
	// replyTimeout is how long the server may take to answer a PING.
	replyTimeout = 13 * time.Second
	// deadSilence is the silence after which the server is considered dead, if a PING is
	// sent after 5 seconds. It also limits calls of go-redis that have no limit.
	deadSilence = 5*time.Second + replyTimeout
)

// retryDelay is the delay before a topic that has moved is resubscribed. The delay doubles
// with each failure, up to healthInterval.
const retryDelay = 20 * time.Millisecond

// health schedules the health check of all connections. It is part of the state.
type health struct {
	timer *time.Timer
	early bool // the next check is an early one
	delay time.Duration

	reconciling bool      // a check compares topics with their owners
	last        time.Time // when the last check was
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

// retrySoon schedules an early check, because topics have moved.
func (h *health) retrySoon(s *Subscription) {
	if h.early || h.timer == nil || s.state.closed {
		return
	}
	h.early = true
	h.delay = min(max(2*h.delay, retryDelay), healthInterval)
	h.schedule(s, h.delay)
}

// next schedules the next check. It resets the delay of early checks if this one was not
// early.
func (h *health) next(s *Subscription) {
	if !h.early {
		h.delay = 0
	}
	h.early = false
	h.schedule(s, healthInterval)
}

// checkHealth closes connections to dead servers, sends PINGs, reconciles topics, and
// resubscribes those that were refused.
func (s *Subscription) checkHealth() {
	var placed []*shard // to be reconciled
	busy, connected := false, false
	s.update(func(st *state) {
		if st.closed {
			return
		}
		st.health.next(s)
		st.awake(time.Now())
		// The check before may still wait for a cluster that does not answer.
		busy, st.health.reconciling = st.health.reconciling, true
		for _, sh := range slices.Clone(st.shards) { // some may retire
			switch usable := sh.checkConnection(time.Now()); {
			case usable && sh.spread:
				placed = append(placed, sh)
			case usable:
				sh.resubscribe()
			}
			connected = connected || sh.conn != nil && sh.conn.reading
		}
		if st.draining { // topics stay where they are
			placed, connected = nil, false
		}
	})
	if busy {
		return
	}
	s.checkClient()
	for _, sh := range placed {
		s.reconcile(sh)
	}
	if connected {
		s.verify()
	}
	s.update(func(st *state) {
		st.health.reconciling = false
		for _, sh := range st.shards {
			if sh.spread && sh.conn != nil && sh.conn.reading {
				sh.resubscribe()
			}
		}
	})
}

// awake notes the time of a check. If the last one is very long ago, this process was stopped:
// nothing of that time is silence of the servers.
func (st *state) awake(now time.Time) {
	stopped := !st.health.last.IsZero() && now.Sub(st.health.last) > replyTimeout
	st.health.last = now
	for _, sh := range st.shards {
		if conn := sh.conn; stopped && conn != nil {
			conn.evidence.alive, conn.probe = now, nil
		}
	}
}

// checkClient closes s if the client is a Ring that was closed, and there are no topics.
// Otherwise a connection shows that the client was closed.
func (s *Subscription) checkClient() {
	if ring, ok := s.topology.(*ring); ok && ring.closed(s.ctx) {
		s.update(func(st *state) {
			if st.empty() {
				st.clientClosed(redis.ErrClosed)
			}
		})
	}
}

// checkConnection closes the connection of sh if its server is dead, and sends a PING if one
// is due. It reports whether sh has a connection that can be used.
func (sh *shard) checkConnection(now time.Time) bool {
	conn := sh.conn
	if conn == nil {
		return false
	}
	switch closed := conn.isClosed(); {
	case closed && conn.reading:
		sh.checkClosed(conn)
		return false
	case !closed && !conn.isUp():
		sh.checkConnecting(conn, now)
		return false
	case closed, !conn.reading:
		return false
	}
	if sh.spread && sh.idle() && conn.isQuiet() {
		sh.state().retire(sh)
		return false
	}
	silence := conn.evidence.observe(now, conn.messages.Load(), conn.isBusy())
	switch {
	case sh.sub.pingSilence > 0 && silence >= sh.sub.pingSilence+replyTimeout:
		conn.close(ErrSilent)
		return false
	case conn.isBlocked(now):
		conn.close(ErrBlocked)
		return false
	}
	// While messages arrive, the reply to a PING in each interval shows until when all
	// messages have been received.
	interval := sh.sub.pingSilence
	due := silence >= interval && now.Sub(conn.pinged) >= interval || conn.evidence.unacknowledged
	switch {
	case interval > 0 && due && !conn.waitsFor(func(cmd *command) bool { return cmd.op == opPing }):
		conn.pinged, conn.evidence.unacknowledged = now, false
		conn.enqueue(&command{op: opPing})
	case silence >= probeSilence && len(conn.queue) == 0 && conn.writing == nil:
		conn.startProbe(now)
	}
	return true
}

// beginReading notes that c is read from now on.
func (c *connection) beginReading() {
	c.reading = true
	c.evidence.alive = time.Now()
}

// answered notes that the server has answered cmd, at least for one topic.
func (c *connection) answered(cmd *command) { c.evidence.replied(cmd) }

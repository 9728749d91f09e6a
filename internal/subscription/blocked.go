// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A call of go-redis may not return for long. When a connection is lost, a read dials again
// before it returns, and holds the mutex of the *redis.PubSub meanwhile. The context that it
// gets has ended, but a Dialer may ignore that, and the default one does with TLS. A Dialer,
// an OnConnect or a credentials provider may hang as well. Such a call cannot be ended. It is
// noticed, and abandoned.

// maxHung is how many abandoned connections a shard may have. While there are as many, it does
// not connect, so that goroutines that hang do not pile up.
const maxHung = 4

// probeSilence is the silence after which a probe is made.
const probeSilence = time.Second

// probeLimit is how long go-redis may hold its mutex, if it does not write. Two checks find it
// held then.
const probeLimit = 3 * healthInterval / 2

// probe finds out if go-redis holds the mutex of a *redis.PubSub. A PING does so as well. It is
// part of the state.
type probe struct {
	began time.Time
	done  chan struct{}
}

// startProbe starts a probe, unless one is under way. It is part of the state, and so are the
// functions below.
func (c *connection) startProbe(now time.Time) {
	if c.probe != nil && !isDone(c.probe.done) {
		return
	}
	p := &probe{began: now, done: make(chan struct{})}
	c.probe = p
	go func() {
		defer close(p.done)
		_ = c.ps.String() // the cheapest call that needs the mutex and does no I/O
	}()
}

// isBlocked reports whether go-redis does not return from a write in time, or holds the mutex
// though it does not write.
func (c *connection) isBlocked(now time.Time) bool {
	switch {
	case c.writing != nil && c.writing.op == opPing: // a few bytes
		return now.Sub(c.writing.sent) >= probeLimit
	case c.writing != nil:
		return now.Sub(c.writing.sent) >= c.writeLimit()
	}
	return c.probe != nil && !isDone(c.probe.done) && now.Sub(c.probe.began) >= probeLimit
}

// The phases of the goroutine that reads. It waits for the server, or is busy: it waits for a
// consumer or the Observer. If it does not return when the connection is closed, it is
// abandoned, and another goroutine reads for the shard.
const (
	phaseWaiting int32 = iota
	phaseBusy
	phaseAbandoned
)

// beginBusy reports whether the goroutine that reads may handle what it has read. It may not
// if it is abandoned.
func (c *connection) beginBusy() bool { return c.phase.CompareAndSwap(phaseWaiting, phaseBusy) }

func (c *connection) endBusy() { c.phase.Store(phaseWaiting) }

func (c *connection) isBusy() bool { return c.phase.Load() == phaseBusy }

// abandon reports whether the goroutine that reads was waiting for the server. It is abandoned
// then.
func (c *connection) abandon() bool { return c.phase.CompareAndSwap(phaseWaiting, phaseAbandoned) }

// checkConnecting closes a connection that is not up in time. Without an own limit of the
// user, that is deadSilence.
func (sh *shard) checkConnecting(conn *connection, now time.Time) {
	limit := deadSilence
	if opt := conn.endpoint.options(); opt != nil {
		limit = max(limit, opt.DialTimeout+opt.ReadTimeout+opt.WriteTimeout)
	}
	if now.Sub(conn.evidence.opened) >= limit {
		conn.close(ErrConnectTimeout)
		sh.hung = append(sh.hung, conn)
	}
}

// checkClosed abandons the goroutine that reads from a closed connection, if it does not
// return. Another one takes its place. The dial for which it waits, if any, is a failed
// attempt to connect, so the outage is reported.
func (sh *shard) checkClosed(conn *connection) {
	if !conn.overdue {
		conn.overdue = true
		return
	}
	if !conn.abandon() {
		return
	}
	sh.hung = append(sh.hung, conn)
	sh.disconnected(conn, conn.cause)
	sh.reportLost()
	sh.running = false
	sh.start()
}

// mayConnect reports whether sh has less than maxHung abandoned connections.
func (sh *shard) mayConnect() bool {
	sh.hung = slices.DeleteFunc(sh.hung, func(conn *connection) bool { return isDone(conn.released) })
	return len(sh.hung) < maxHung
}

// writeLimit returns how long a write may take.
func (c *connection) writeLimit() time.Duration {
	if opt := c.endpoint.options(); opt != nil && opt.WriteTimeout > 0 {
		return opt.WriteTimeout + healthInterval
	}
	return deadSilence
}

// options returns the options of the client, or nil if it is of an unknown type.
func (e endpoint) options() *redis.Options {
	if client, ok := e.client.(*redis.Client); ok {
		return client.Options()
	}
	return nil
}

// withTimeouts returns server, or a client like it whose writes and handshake have a timeout
// if they have none: otherwise a peer that does not read would block go-redis for as long as
// TCP allows. A negative timeout stays, because the connections may not have deadlines.
func withTimeouts(server Subscriber) Subscriber {
	client, ok := server.(*redis.Client)
	if !ok {
		return server
	}
	opt := client.Options()
	if opt.ReadTimeout != 0 && opt.WriteTimeout != 0 {
		return server
	}
	read, write := opt.ReadTimeout, opt.WriteTimeout
	client = client.WithTimeout(deadSilence)
	if read != 0 {
		client.Options().ReadTimeout = read // of the new client alone
	}
	if write != 0 {
		client.Options().WriteTimeout = write
	}
	return client
}

// firstTimeout returns the timeout of the first read. It removes the deadline of the handshake
// if there was one.
func (e endpoint) firstTimeout() time.Duration {
	if opt := e.options(); opt != nil && opt.ReadTimeout < 0 {
		return sameTimeout
	}
	return 0
}

// explain adds to an error that a connection knows no deadlines what to do about it.
func explain(err error) error {
	if errors.Is(err, os.ErrNoDeadline) || strings.Contains(err.Error(), "deadline not supported") {
		return fmt.Errorf("%w: the connections of this Dialer have no deadlines; set ReadTimeout and WriteTimeout to -2", err)
	}
	return err
}

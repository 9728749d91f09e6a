// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// run reads, from one connection after the other, until the Subscription is closed or a
// spread shard has no topics left.
func (sh *shard) run() {
	defer close(sh.stopped)
	var retry backoff
	for sh.awaitWork() {
		if conn := sh.connect(); conn != nil {
			began := time.Now()
			err := sh.read(conn)
			if errors.Is(err, errRetired) {
				return
			}
			sh.sub.update(func(*state) { sh.disconnected(conn, err) })
			retry.lasted(time.Since(began))
		}
		select {
		case <-sh.sub.ctx.Done():
			sh.sub.update(func(*state) { sh.cutShort() })
			return
		case <-time.After(retry.next()):
		}
	}
}

// awaitWork waits until there is something to connect for. It returns false if there will
// be nothing: a spread shard does not wait, it retires, and there will be another one.
func (sh *shard) awaitWork() bool {
	for {
		var changed <-chan struct{}
		work, retired := false, false
		sh.sub.reconcileEarly(sh)
		sh.sub.update(func(st *state) {
			switch {
			case st.closed, !sh.idle(), sh.early != nil:
				work = true
			case sh.spread:
				st.retire(sh)
				retired = true
			default:
				changed = st.changed
			}
		})
		if work || retired {
			return work
		}
		<-changed
	}
}

// reconcileEarly reconciles the topics of sh before it connects. An attempt that has
// failed before Start is reported first.
func (s *Subscription) reconcileEarly(sh *shard) {
	early := false
	s.update(func(*state) { early = sh.early != nil })
	if sh.spread && !early {
		s.reconcile(sh)
	}
}

// connect returns a connection that is up, or nil if there is none: that is reported.
func (sh *shard) connect() *connection {
	var conn *connection
	failed := false
	sh.sub.update(func(st *state) {
		conn = sh.conn
		if early := sh.early; early != nil {
			sh.early, failed = nil, true
			sh.unreachable(early.op, early.err)
		}
		failed = failed || st.closed && conn == nil
	})
	if failed {
		return nil
	}
	if conn == nil {
		server, err := sh.server(sh.sub.ctx)
		if err != nil {
			sh.sub.update(func(*state) { sh.connectFailed(nil, err) })
			return nil
		}
		conn = sh.sub.newConnection(sh.sub.ctx, server)
		sh.sub.update(func(*state) { conn = sh.adopt(conn) })
	}
	if err := conn.awaitUp(context.Background()); err != nil {
		sh.sub.update(func(*state) { sh.connectFailed(conn, err) })
		return nil
	}
	sh.sub.update(func(*state) { sh.connected() })
	return conn
}

// connectEarly connects before Start, on behalf of a call of Subscribe.
func (s *Subscription) connectEarly(ctx context.Context, sh *shard) error {
	server, err := sh.server(ctx)
	var conn *connection
	if err == nil {
		conn = s.newConnection(ctx, server)
		s.update(func(*state) { conn = sh.adopt(conn) })
		err = conn.awaitUp(ctx)
	}
	switch {
	case err == nil, errors.Is(err, errRetired):
		return nil
	case conn != nil && !conn.isClosed():
		return err // ctx is canceled
	}
	s.update(func(st *state) {
		if st.started || sh.conn != conn {
			return // run deals with it, or another call did
		}
		sh.dropConnection()
		sh.early = &outage{op: opConnect, err: err, since: time.Now()}
		st.failed(err)
	})
	return err
}

// connected notes that the connection is up. It is part of the state, as is all below.
func (sh *shard) connected() {
	if sh.lost {
		sh.lost = false
		sh.state().after(sh.sub.observer.Reconnected)
	}
}

// connectFailed notes that no connection could be made.
func (sh *shard) connectFailed(conn *connection, err error) {
	if sh.conn == conn {
		sh.dropConnection()
	}
	if !errors.Is(err, errRetired) {
		sh.state().failed(err)
		sh.unreachable(opConnect, err)
	}
}

// cutShort reports the outages that are not over when the Subscription is closed: nothing
// else will tell of their end.
func (sh *shard) cutShort() {
	var in outages
	sh.topics.all(func(_ Kind, name string, t *topic) { in.addLost(name, t) })
	sh.state().reportAll(in)
	sh.state().flushReports()
}

// backoff is how long to wait before the next connection.
type backoff struct{ failures int }

const (
	shortestWait = 10 * time.Millisecond
	longestWait  = time.Second
	// A connection that lasted for so long was a good one.
	goodConnection = time.Second
)

func (b *backoff) lasted(d time.Duration) {
	if d >= goodConnection {
		b.failures = 0
	}
}

// next grows with each failure. The jitter keeps subscribers apart that have lost the
// same server.
func (b *backoff) next() time.Duration {
	wait := min(shortestWait<<min(b.failures, 10), longestWait)
	b.failures++
	return wait/2 + rand.N(wait/2+1)
}

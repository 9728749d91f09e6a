// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// run connects and reads, with one connection after the other. It closes stopped and returns
// when the Subscription is closed, when a spread shard has no topics left, or when another
// goroutine has taken its place.
func (sh *shard) run(stopped chan<- struct{}) {
	defer close(stopped)
	var retry backoff
	for sh.awaitWork() {
		if conn := sh.connect(); conn != nil {
			began := time.Now()
			err := sh.read(conn)
			if errors.Is(err, errRetired) || errors.Is(err, errAbandoned) {
				return
			}
			sh.sub.update(func(*state) { sh.disconnected(conn, err) })
			retry.lasted(time.Since(began))
		}
		select {
		case <-sh.sub.ctx.Done():
			sh.sub.update(func(st *state) { st.finish() })
			return
		case <-time.After(retry.next()):
		}
	}
}

// awaitWork waits until sh has to connect or the Subscription is closed. A spread shard does
// not wait for topics: if it has none, awaitWork retires it and returns false.
func (sh *shard) awaitWork() bool {
	for {
		var changed <-chan struct{}
		work, retired := false, false
		sh.sub.reconcileEarly(sh)
		sh.sub.update(func(st *state) {
			switch {
			case st.closed:
				work = true
			case st.draining && sh.conn == nil: // it waits for Close
				changed = st.changed
			case !sh.idle(), sh.early != nil, sh.connectsIdle():
				work = true
			case sh.conn != nil && !sh.conn.isQuiet(): // what was sent before the last topic was removed
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

// reconcileEarly reconciles the topics of a spread shard before it connects. It does not if
// a connection that failed before Start is still to be reported.
func (s *Subscription) reconcileEarly(sh *shard) {
	skip := false
	s.update(func(st *state) { skip = sh.early != nil || st.over() })
	if sh.spread && !skip {
		s.reconcile(sh)
	}
}

// connect returns a connection that is up. It returns nil, and reports the failure, if there
// is none.
func (sh *shard) connect() *connection {
	var conn *connection
	failed := false
	sh.sub.update(func(st *state) {
		conn = sh.conn
		if conn == nil && !sh.mayConnect() {
			failed = true
			sh.connectFailed(nil, ErrConnectTimeout)
		}
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
		var err error
		if conn, err = sh.open(sh.sub.ctx); err != nil {
			sh.sub.connectFailed(sh, nil, err)
			return nil
		}
		sh.sub.update(func(*state) { conn = sh.adopt(conn) })
	}
	if err := conn.awaitUp(context.Background()); err != nil {
		sh.sub.connectFailed(sh, conn, err)
		return nil
	}
	sh.sub.update(func(*state) { sh.connected() })
	return conn
}

// connectFailed handles the event that no connection could be made. If the client was closed,
// it closes s.
func (s *Subscription) connectFailed(sh *shard, conn *connection, err error) {
	closed := s.isClientClosed(err)
	s.update(func(st *state) {
		if closed {
			st.clientClosed(err)
			return
		}
		sh.connectFailed(conn, err)
	})
}

// isClientClosed reports whether err is that of a closed client, and not of the closed client
// of one of its servers.
func (s *Subscription) isClientClosed(err error) bool {
	return errors.Is(err, redis.ErrClosed) && s.ctx.Err() == nil && s.topology.closed(s.ctx)
}

// open returns a connection to the server of sh, which is not up yet.
func (sh *shard) open(ctx context.Context) (*connection, error) {
	server, err := sh.server(ctx)
	if err != nil {
		return nil, usable(err)
	}
	return sh.sub.newConnection(ctx, server)
}

// connectEarly connects before Start, for a call of Subscribe.
func (s *Subscription) connectEarly(ctx context.Context, sh *shard) error {
	conn, err := sh.open(ctx)
	if err == nil {
		s.update(func(*state) {
			sh.dropFailedDial()
			conn = sh.adopt(conn)
		})
		err = conn.awaitUp(ctx)
	}
	switch {
	case err == nil, errors.Is(err, errRetired):
		return nil
	case conn != nil && !conn.isClosed():
		return err // ctx was canceled, and conn may still succeed
	}
	closed := s.isClientClosed(err)
	s.update(func(st *state) {
		switch {
		case closed:
			st.clientClosed(err)
			return
		case st.started, st.over(), sh.conn != conn:
			return // run reports it, or another call has, or nobody needs it
		}
		sh.dropConnection()
		sh.early = &outage{op: opConnect, err: err, since: time.Now()}
		st.failed(err)
	})
	return err
}

// connected handles the event that the connection is up. It is part of the state, and so are
// the functions below.
func (sh *shard) connected() {
	if sh.lost {
		sh.lost = false
		sh.state().after(sh.sub.observer.Reconnected)
	}
}

// connectFailed handles the event that no connection could be made.
func (sh *shard) connectFailed(conn *connection, err error) {
	if sh.conn == conn {
		sh.dropConnection()
	}
	if errors.Is(err, errRetired) || sh.state().over() {
		return
	}
	sh.state().failed(err)
	if !sh.connectsIdle() { // otherwise nothing is lost
		sh.unreachable(opConnect, err)
	}
}

// backoff computes the delay before the next attempt to connect.
type backoff struct{ failures int }

const (
	shortestWait = 10 * time.Millisecond
	longestWait  = time.Second
	// goodConnection is how long a connection must last to reset the delay.
	goodConnection = time.Second
)

// lasted notes that a connection has lasted for d.
func (b *backoff) lasted(d time.Duration) {
	if d >= goodConnection {
		b.failures = 0
	}
}

// next returns the delay. It doubles with each failure. The jitter keeps subscribers that
// have lost the same server from reconnecting at the same time.
func (b *backoff) next() time.Duration {
	wait := min(shortestWait<<min(b.failures, 10), longestWait)
	b.failures++
	return wait/2 + rand.N(wait/2+1)
}

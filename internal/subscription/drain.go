// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import "context"

// Drain unsubscribes from all topics, and returns nil when everything that the servers had sent
// until then is delivered. A connection that is lost meanwhile is not replaced, as nothing more
// can come. Drain returns ctx.Err() if ctx is canceled first, and ErrClosed if the Subscription
// is closed.
//
// From the call on, the other methods return ErrClosed. Drain may be called more than once. It
// does not close the Subscription.
func (s *Subscription) Drain(ctx context.Context) error {
	s.update(func(st *state) { st.drain() })
	for {
		var changed <-chan struct{}
		var err error
		s.update(func(st *state) { changed, err = st.drained() })
		if changed == nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drain begins to unsubscribe. It is part of the state, and so are the functions below.
func (st *state) drain() {
	if st.closed || st.draining {
		return
	}
	st.draining = true
	for _, sh := range st.shards {
		switch {
		case sh.conn == nil:
		case !sh.conn.isUp():
			sh.conn.close(errEnded) // nothing is subscribed there
		default:
			sh.unsubscribeAll()
		}
	}
	// What was sent before the first call that reads waits in the socket.
	st.start()
	st.notify()
}

// unsubscribeAll unsubscribes from the topics that the connection has subscribed to.
func (sh *shard) unsubscribeAll() {
	for k := range kinds {
		var names []string
		for name, t := range sh.topics[k] {
			if t.pending != nil {
				names = append(names, name)
			}
		}
		sh.unsubscribe(k, names)
	}
}

// drained returns the channel to wait for, or nil and the result of Drain.
func (st *state) drained() (changed <-chan struct{}, err error) {
	if st.closed {
		return nil, ErrClosed
	}
	for _, sh := range st.shards {
		if sh.conn != nil && sh.conn.isUp() && !sh.conn.isQuiet() {
			return st.changed, nil
		}
	}
	return nil, nil
}

// isQuiet reports whether the server has answered all commands. All that it had sent before is
// delivered then.
func (c *connection) isQuiet() bool { return len(c.queue) == 0 && len(c.unanswered) == 0 }

// over reports whether no topic may be added any more, and no connection made.
func (st *state) over() bool { return st.closed || st.draining }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"time"
)

// Subscribe adds topics. Use Ready to wait until the server has confirmed them.
//
// Before Start, Subscribe connects if there is no connection, and returns the error if that
// fails. Otherwise it returns when the command is written. If there is no connection, it
// returns at once, and the topics are subscribed to on the next one.
func (s *Subscription) Subscribe(ctx context.Context, k Kind, names ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(names) == 0 {
		return s.subscribeToNothing(k)
	}
	placements, err := s.place(ctx, k, names)
	if err != nil {
		return err
	}
	// All at once: a topic that is on one of its servers and not on others is an outage.
	calls := make([]call, len(placements))
	if err := s.updateOpen(func(st *state) {
		for i, p := range placements {
			calls[i] = st.subscribeOn(p)
		}
	}); err != nil {
		return err
	}
	var errs []error
	for _, c := range calls {
		errs = append(errs, s.await(ctx, c))
	}
	if err := s.updateOpen(func(*state) {}); err != nil {
		return err // ErrClosed itself, not wrapped
	}
	return errors.Join(errs...)
}

// subscribeToNothing is Subscribe without topics. If that is the first call, a Ring has no
// server for it.
func (s *Subscription) subscribeToNothing(k Kind) error {
	return s.updateOpen(func(st *state) {
		first := !st.used
		st.used = true
		if first && s.topology.reach(Channels, "") != onMain { // only a Ring spreads them
			st.main.early = &outage{op: k.subscribeOp(), err: errNoTopic, since: time.Now()}
			st.failed(errNoTopic)
		}
	})
}

// call is what a call of Subscribe has to do for the topics on one shard.
type call struct {
	shard         *shard
	sent          sending
	dial, started bool
}

// subscribeOn adds the topics of a placement to its shard. It is part of the state.
func (st *state) subscribeOn(p placement) call {
	st.used = true
	sh := st.shardOf(p)
	c := call{shard: sh, started: st.started}
	sh.dropFailedDial()
	added := sh.add(p.kind, p.names)
	switch {
	case len(added) == 0:
	case sh.conn != nil:
		c.sent = sh.callersWaitFor(sh.subscribe(p.kind, added))
	default:
		c.dial = !st.started
	}
	return c
}

// await connects if that is necessary, or waits until the command is written.
func (s *Subscription) await(ctx context.Context, c call) error {
	if c.dial {
		return s.connectEarly(ctx, c.shard)
	}
	err := c.sent.waitWritten(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !c.started && !c.sent.conn.isUp():
		return s.connectEarly(ctx, c.shard) // another call has dialed, and failed
	}
	return nil // if the connection is lost, the topics are subscribed to on the next one
}

// Unsubscribe removes topics, or all topics of a kind if names is empty. It reports their
// outage, which will not end any more.
func (s *Subscription) Unsubscribe(ctx context.Context, k Kind, names ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var sent []sending
	err := s.updateOpen(func(st *state) {
		for _, sh := range st.shards {
			removed, outages := sh.remove(k, names)
			st.reportAbandoned(outages)
			sent = append(sent, sh.callersWaitFor(sh.leave(k, removed)))
		}
		st.notify()
	})
	if err != nil {
		return err
	}
	for _, w := range sent {
		_ = w.waitWritten(ctx) // a connection that is lost needs no command
	}
	return ctx.Err()
}

// Ping sends a PING on each connection. It does not wait for the replies. Without topics, it
// connects first. It returns an error if a shard with topics has no connection.
func (s *Subscription) Ping(ctx context.Context, payload ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dial := false
	if err := s.updateOpen(func(st *state) {
		st.main.dropFailedDial()
		dial = !st.started && st.main.conn == nil && st.main.connectsIdle()
	}); err != nil {
		return err
	}
	if dial {
		return s.connectEarly(ctx, s.state.main) // which sends a PING
	}
	var sent []sending
	connected := true
	err := s.updateOpen(func(st *state) {
		for _, sh := range st.shards {
			switch {
			case sh.conn != nil && sh.conn.isUp():
				sent = append(sent, sh.conn.enqueue(&command{op: opPing, payload: payload}))
			case !sh.idle():
				connected = false
			}
		}
	})
	if err == nil && (!connected || len(sent) == 0) {
		err = errNotConnected
	}
	for _, w := range sent {
		err = errors.Join(err, w.waitWritten(ctx))
	}
	return err
}

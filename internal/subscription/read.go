// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// read reads from conn until it is lost, and returns why.
func (sh *shard) read(conn *connection) error {
	sh.sub.update(func(*state) { conn.beginReading() })
	for {
		reply, err := conn.receive()
		if err == nil {
			err = sh.take(conn, reply)
		} else {
			err = sh.takeError(conn, err)
		}
		if err != nil {
			conn.close(err)
			return conn.cause
		}
	}
}

// take deals with what was received. An error means that conn can be used no longer.
func (sh *shard) take(conn *connection, reply any) (err error) {
	switch reply := reply.(type) {
	case *redis.Message:
		conn.messages.Add(1)
		conn.busy.Store(true)
		sh.sub.deliver(reply)
		conn.busy.Store(false)
	case *redis.Subscription:
		sh.whileBusy(conn, func(*state) { err = sh.confirmed(conn, reply) })
	case *redis.Pong:
		sh.whileBusy(conn, func(*state) {
			if cmd := conn.oldest(); cmd != nil && cmd.op == opPing {
				conn.answered(cmd)
				conn.pop()
			}
		})
	}
	return err
}

// takeError deals with an error of a read. If it is the server's reply to a command,
// nothing is wrong with conn, and it returns nil.
func (sh *shard) takeError(conn *connection, err error) error {
	if _, ok := errors.AsType[redis.Error](err); !ok || errors.Is(err, redis.Nil) {
		return err
	}
	var cmd *command
	sh.whileBusy(conn, func(*state) {
		if cmd = conn.oldest(); cmd != nil {
			conn.answered(cmd)
			conn.pop()
			sh.refused(conn, cmd, err)
		}
	})
	if cmd == nil {
		return err
	}
	return nil
}

// whileBusy updates the state. The time that an Observer takes is not the server's silence.
func (sh *shard) whileBusy(conn *connection, change func(*state)) {
	conn.busy.Store(true)
	sh.sub.update(change)
	conn.busy.Store(false)
}

// confirmed notes that the server has done a command for one topic. It is part of the
// state, as is all below.
func (sh *shard) confirmed(conn *connection, s *redis.Subscription) error {
	cmd := conn.oldest()
	if cmd == nil || cmd.op != s.Kind || cmd.names[cmd.answered] != s.Channel {
		if sh.takenAway(conn, s) {
			return nil
		}
		return fmt.Errorf("the server sent %s %q, which no command had asked for", s.Kind, s.Channel)
	}
	conn.answered(cmd)
	if cmd.answered++; cmd.answered == len(cmd.names) {
		conn.pop()
	}
	st := sh.state()
	if t := sh.topics[cmd.kind][s.Channel]; t != nil && t.pending == cmd && t.outage != nil {
		if t.outage.op != "" {
			conn.recovered.add(s.Channel, t.outage)
		}
		st.setOutage(t, nil)
	}
	if st.unconfirmed == 0 {
		st.notify()
	}
	sh.reportRecovered(conn)
	return nil
}

// reportRecovered reports the topics that are received again, once the server has
// answered all commands that subscribe.
func (sh *shard) reportRecovered(conn *connection) {
	if len(conn.recovered) == 0 || conn.waitsFor((*command).subscribes) {
		return
	}
	sh.state().reportRecovered(conn.recovered)
	conn.recovered = nil
}

// takenAway deals with a sharded channel from which the server has unsubscribed the
// connection by itself: another server has taken over its slot. It reports whether that
// is what has happened.
func (sh *shard) takenAway(conn *connection, s *redis.Subscription) bool {
	cluster := sh.sub.topology.cluster()
	if cluster == nil || !sh.spread || s.Kind != ShardChannels.unsubscribeOp() {
		return false
	}
	st := sh.state()
	if t := sh.topics[ShardChannels][s.Channel]; t != nil {
		t.pending = nil
		if t.outage == nil {
			st.setOutage(t, &outage{op: s.Kind, err: ErrMoved, since: conn.evidence.received()})
			st.failed(ErrMoved)
		}
	}
	cluster.reload(sh.sub.ctx)
	st.health.retrySoon(sh.sub)
	return true
}

// refused notes that the server has refused cmd, for the names that it has not confirmed.
func (sh *shard) refused(conn *connection, cmd *command, err error) {
	if cmd.op == opPing {
		return // a reply all the same
	}
	names := cmd.names[cmd.answered:]
	if cmd.subscribes() && len(names) > 1 {
		sh.bisect(conn, cmd, names)
		return
	}
	sh.refusedTopic(cmd, names, err)
	sh.reportRecovered(conn)
}

// bisect sends a command that was refused again, in two halves: one topic is enough for
// the server to refuse them all, and it does not say which.
func (sh *shard) bisect(conn *connection, cmd *command, names []string) {
	for _, half := range [][]string{names[:len(names)/2], names[len(names)/2:]} {
		again := &command{op: cmd.op, kind: cmd.kind, names: half}
		sh.pend(again)
		conn.enqueue(again)
	}
}

// movePatience is for how long a MOVED reply is not reported: by then the new owner is
// usually found.
const movePatience = time.Second

// refusedTopic notes that the server has refused to subscribe to one topic, or to
// unsubscribe from some. This is where a MOVED reply is handled.
func (sh *shard) refusedTopic(cmd *command, names []string, err error) {
	st := sh.state()
	o := &outage{op: cmd.op, err: err}
	t := sh.topics[cmd.kind][names[0]]
	current := t != nil && t.pending == cmd && t.outage != nil
	if current {
		o.since = t.outage.since
		t.pending = nil // the health check subscribes to it again
		st.setOutage(t, o)
	}
	if cmd.subscribes() && !current {
		return // it was removed, or a later command subscribes to it
	}
	if cluster := sh.sub.topology.cluster(); cluster != nil && sh.spread {
		if _, moved := redis.IsMovedError(err); moved {
			if !cmd.subscribes() {
				return // the connection is unsubscribed there, as it should be
			}
			cluster.reload(sh.sub.ctx)
			st.health.retrySoon(sh.sub)
			if time.Since(o.since) < movePatience {
				return
			}
		}
	}
	st.failed(err)
	st.report(o, names)
}

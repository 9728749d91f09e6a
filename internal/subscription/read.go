// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// read reads from conn until it is lost, and returns the cause. It returns errAbandoned if
// another goroutine reads for sh by then.
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
			if !conn.beginBusy() { // for good, so that conn is not abandoned now
				return errAbandoned
			}
			conn.close(err)
			return conn.cause
		}
	}
}

// take handles a message or a reply. An error means that conn cannot be used any more.
func (sh *shard) take(conn *connection, reply any) (err error) {
	switch reply := reply.(type) {
	case *redis.Message:
		if !conn.beginBusy() {
			return errAbandoned
		}
		conn.messages.Add(1)
		if !sh.isCopy(reply) {
			sh.sub.deliver(reply)
		}
		conn.endBusy()
	case *redis.Subscription:
		err = sh.whileBusy(conn, func(*state) error { return sh.confirmed(conn, reply) })
	case *redis.Pong: // go-redis returns one for any status reply
		err = sh.whileBusy(conn, func(*state) error {
			if cmd := conn.oldest(); cmd != nil && (cmd.op == opPing || cmd.op == opSetName) {
				conn.answered(cmd)
				conn.pop()
			}
			return nil
		})
	}
	return err
}

// takeError handles the error of a read. It returns nil if the error is the server's reply to
// a command: conn can still be used then.
func (sh *shard) takeError(conn *connection, err error) error {
	var reply redis.Error
	if !errors.As(err, &reply) || errors.Is(err, redis.Nil) {
		return err
	}
	return sh.whileBusy(conn, func(*state) error {
		cmd := conn.oldest()
		if cmd == nil {
			return err
		}
		conn.answered(cmd)
		conn.pop()
		sh.refused(conn, cmd, err)
		return nil
	})
}

// whileBusy calls update, and returns what change returns. The time that the Observer takes
// does not count as silence.
func (sh *shard) whileBusy(conn *connection, change func(*state) error) (err error) {
	if !conn.beginBusy() {
		return errAbandoned
	}
	sh.sub.update(func(st *state) {
		if err = change(st); st.draining {
			st.notify()
		}
	})
	conn.endBusy()
	return err
}

// confirmed handles the server's confirmation of a command for one topic. It is part of the
// state, and so are the functions below.
func (sh *shard) confirmed(conn *connection, s *redis.Subscription) error {
	cmd := conn.oldest()
	if cmd == nil || cmd.op != s.Kind || cmd.names[cmd.answered] != s.Channel {
		if sh.takenAway(conn, s) {
			return nil
		}
		return fmt.Errorf("the server sent an unexpected confirmation: %s %.100q", s.Kind, s.Channel)
	}
	conn.answered(cmd)
	if cmd.answered++; cmd.answered == len(cmd.names) {
		conn.pop()
	}
	st := sh.state()
	if cmd.removes {
		st.removed(cmd.kind, s.Channel)
	}
	if st.draining && !cmd.subscribes() {
		sh.remove(cmd.kind, []string{s.Channel})
	}
	if t := sh.topics[cmd.kind][s.Channel]; t != nil && t.pending == cmd && t.outage != nil {
		if t.outage.op != "" {
			conn.recovered.add(s.Channel, t.outage)
		}
		st.setOutage(t, nil)
		t.received = true
	}
	sh.reportRecovered(conn)
	return nil
}

// reportRecovered reports the outages that are over, once the server has answered all
// commands that subscribe.
func (sh *shard) reportRecovered(conn *connection) {
	if len(conn.recovered) == 0 || conn.waitsFor((*command).subscribes) {
		return
	}
	sh.state().reportRecovered(conn.recovered)
	conn.recovered = nil
}

// takenAway handles a sharded channel that the server has unsubscribed without a command,
// because another server has taken over its slot. It reports whether s is about such a
// channel.
func (sh *shard) takenAway(conn *connection, s *redis.Subscription) bool {
	cluster := sh.sub.topology.cluster()
	if cluster == nil || !sh.spread || s.Kind != ShardChannels.unsubscribeOp() {
		return false
	}
	st := sh.state()
	if t := sh.topics[ShardChannels][s.Channel]; t != nil {
		t.pending = nil
		if t.outage == nil {
			o := &outage{op: s.Kind, err: ErrMoved, since: conn.evidence.received()}
			st.reopen(s.Channel, o)
			st.setOutage(t, o)
			st.failed(ErrMoved)
		}
	}
	cluster.reload(sh.sub.ctx)
	st.health.retrySoon(sh.sub)
	return true
}

// refused handles the event that the server has refused cmd, for the topics that it has not
// confirmed before.
func (sh *shard) refused(conn *connection, cmd *command, err error) {
	switch cmd.op {
	case opPing:
		return // an error is a reply, too
	case opSetName:
		sh.state().nameRefused(cmd, err)
		return
	}
	names := cmd.names[cmd.answered:]
	if !cmd.subscribes() && strings.HasPrefix(err.Error(), "NOSUB ") {
		// Valkey 8.0: the connection has no topics, which is what was asked for.
		if cmd.removes {
			sh.state().removed(cmd.kind, names...)
		}
		return
	}
	if cmd.subscribes() && len(names) > 1 {
		if !sh.state().draining { // otherwise nobody needs to know which
			sh.bisect(conn, cmd, names)
		}
		return
	}
	sh.refusedTopic(cmd, names, err)
	sh.reportRecovered(conn)
}

// bisect subscribes again to the topics of a command that was refused, with two commands
// for one half each. The server refuses a whole command because of one topic, and does not
// say which.
func (sh *shard) bisect(conn *connection, cmd *command, names []string) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { // those that were removed
		t := sh.topics[cmd.kind][name]
		return t == nil || t.pending != cmd
	})
	for _, half := range [][]string{names[:len(names)/2], names[len(names)/2:]} {
		if len(half) == 0 {
			continue
		}
		again := &command{op: cmd.op, kind: cmd.kind, names: half}
		sh.pend(again)
		conn.enqueue(again)
	}
}

// movePatience is how long an outage must last before a MOVED reply is reported. Usually the
// new owner is found earlier.
const movePatience = time.Second

// refusedTopic handles the event that the server has refused to subscribe to one topic, or
// to unsubscribe from several. It also handles a MOVED reply.
func (sh *shard) refusedTopic(cmd *command, names []string, err error) {
	st := sh.state()
	o := &outage{op: cmd.op, err: err, since: time.Now(), refused: true}
	t := sh.topics[cmd.kind][names[0]]
	current := t != nil && t.pending == cmd && t.outage != nil
	if current {
		o.since = t.outage.since
		t.pending = nil // the health check will resubscribe
		st.setOutage(t, o)
	}
	if cmd.subscribes() && !current {
		return // it was removed, or a later command is pending
	}
	if cluster := sh.sub.topology.cluster(); cluster != nil && sh.spread {
		if _, moved := redis.IsMovedError(err); moved {
			o.refused = false
			if !cmd.subscribes() {
				return // the connection is no longer subscribed there
			}
			cluster.reload(sh.sub.ctx)
			st.health.retrySoon(sh.sub)
			if time.Since(o.since) < movePatience {
				return
			}
		}
	}
	st.failed(err)
	if !current {
		st.reportAbandoned(outages{o: names})
		return
	}
	st.report(o, names)
}

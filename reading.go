// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// read reads from conn and hands over, until conn is in trouble. It returns the
// trouble.
func (f *feed) read(conn *connection) error {
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		f.watch(conn)
	}()
	for {
		reply, err := conn.receive()
		if err != nil {
			err = f.refused(conn, err)
		} else {
			err = f.take(conn, reply)
		}
		if err != nil {
			conn.close(err)
			<-watched
			return conn.cause
		}
	}
}

func (f *feed) take(conn *connection, reply any) error {
	switch reply := reply.(type) {
	case *redis.Message:
		conn.told = conn.heard
		conn.unheard.Store(true)
		if !f.pubsub.deliver(reply, conn) {
			return errClosed
		}
	case *redis.Subscription:
		return f.confirmed(conn, reply)
	case *redis.Pong:
		f.status.mu.Lock()
		defer f.status.mu.Unlock()
		if cmd := conn.head(); cmd != nil && cmd.op == opPing {
			conn.heard = cmd.sent
			conn.pop()
		}
	}
	return nil
}

// confirmed takes in the server's word on one name of a command.
func (f *feed) confirmed(conn *connection, s *redis.Subscription) error {
	f.status.mu.Lock()
	cmd := conn.head()
	if cmd == nil || cmd.op != s.Kind || cmd.names[cmd.answered] != s.Channel {
		moved := f.moved(conn, s)
		f.status.mu.Unlock()
		if moved {
			return nil
		}
		return fmt.Errorf("the server sent %s %q, for which nobody had asked", s.Kind, s.Channel)
	}
	conn.heard = cmd.sent
	if cmd.answered++; cmd.answered == len(cmd.names) {
		conn.pop()
	}
	if w := f.wishes[cmd.to][s.Channel]; w != nil && w.asked == cmd && w.deaf != nil {
		if w.deaf.op != "" {
			conn.recovered[w.deaf] = append(conn.recovered[w.deaf], s.Channel)
		}
		w.deaf = nil
		f.status.missing--
	}
	if f.status.missing == 0 {
		f.status.change()
	}
	f.status.mu.Unlock()
	f.reportRecovered(conn)
	return nil
}

// reportRecovered reports the names that are heard again, once the server has
// answered to all that were asked for.
func (f *feed) reportRecovered(conn *connection) {
	f.status.mu.Lock()
	if len(conn.recovered) == 0 || conn.subscribing() {
		f.status.mu.Unlock()
		return
	}
	recovered := conn.recovered
	conn.recovered = make(map[*trouble][]string)
	f.status.mu.Unlock()
	conn.pause() // the time that the handler takes is not the server's silence
	defer conn.resume()
	for t, names := range recovered {
		f.pubsub.errors.recovered(*t, names)
	}
}

// moved deals with a channel that the server has unsubscribed by itself, as it
// does when another server takes over its slot. It says whether that is what has
// happened. status.mu is held.
func (f *feed) moved(conn *connection, s *redis.Subscription) bool {
	if !f.slotted() || s.Kind != unsubscribeOps[toShards] {
		return false
	}
	if w := f.wishes[toShards][s.Channel]; w != nil {
		w.asked = nil
		if w.deaf == nil {
			w.deaf = &trouble{op: s.Kind, err: errMoved, since: conn.lastHeard()}
			f.status.missing++
			f.pubsub.countError(errMoved)
		}
	}
	f.shard.cluster.ReloadState(f.pubsub.ctx)
	conn.askSoon()
	return true
}

// refused deals with an error of a read. If that is the server's answer to a
// command, nothing is wrong with the connection, and it returns nil.
func (f *feed) refused(conn *connection, err error) error {
	var answer redis.Error
	if !errors.As(err, &answer) || errors.Is(err, redis.Nil) {
		return err
	}
	f.status.mu.Lock()
	cmd := conn.head()
	if cmd == nil {
		f.status.mu.Unlock()
		return err
	}
	conn.heard = cmd.sent
	conn.pop()
	f.status.mu.Unlock()
	names := cmd.names[cmd.answered:]
	switch {
	case cmd.op == opPing:
		return nil // an answer all the same
	case cmd.subscribes() && len(names) > 1:
		return f.askHalves(conn, cmd, names)
	}
	f.refuse(conn, cmd, names, err)
	f.reportRecovered(conn)
	return nil
}

// askHalves asks again for names that were refused together: one of them is
// enough for the server to refuse them all.
func (f *feed) askHalves(conn *connection, cmd *command, names []string) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	for _, half := range [][]string{names[:len(names)/2], names[len(names)/2:]} {
		if err := f.send(conn, &command{op: cmd.op, to: cmd.to, names: half}); err != nil {
			return err
		}
	}
	return nil
}

// refuse notes that a command for one name, or one that unsubscribes, is refused.
func (f *feed) refuse(conn *connection, cmd *command, names []string, err error) {
	t := trouble{op: cmd.op, err: err}
	f.status.mu.Lock()
	w := f.wishes[cmd.to][names[0]]
	current := w != nil && w.asked == cmd && w.deaf != nil
	if current {
		t.since = w.deaf.since
		w.asked, w.deaf = nil, &t // the watch asks again
	}
	f.status.mu.Unlock()
	if cmd.subscribes() && !current {
		return // nobody wants it any more, or another command asks for it
	}
	if _, moved := redis.IsMovedError(err); moved && f.slotted() {
		if !cmd.subscribes() {
			return // nobody listens there any more, as asked for
		}
		f.shard.cluster.ReloadState(f.pubsub.ctx)
		conn.askSoon()
		if time.Since(t.since) < movePatience {
			return
		}
	}
	f.pubsub.countError(err)
	conn.pause()
	defer conn.resume()
	f.fail(t, names)
}

// movePatience is for how long nobody is bothered with a name that another server
// has taken over: until then it is usually found.
const movePatience = time.Second

// lost notes that conn is, and for which reason. The names that were heard on it
// are reported when they are heard again, and it is known for how long they were
// not. For the others it was an attempt that failed.
func (f *feed) lost(conn *connection, err error) {
	f.pubsub.countError(err)
	f.status.mu.Lock()
	f.conn, f.broken = nil, true
	t := &trouble{op: OpReceive, err: err, since: conn.lastHeard()}
	if errors.Is(err, errRemoved) {
		t.since = conn.lastTold()
	}
	if f.shard == nil && f.pubsub.shards != nil && (errors.Is(err, errRemoved) || errors.Is(err, errSilent)) {
		f.pubsub.shards.seat.Store(nil)
	}
	failed := &trouble{op: OpReceive, err: err, since: t.since}
	var never []string
	for _, wishes := range f.wishes {
		for name, w := range wishes {
			w.asked = nil
			if w.deaf == nil {
				w.deaf = t
				f.status.missing++
				continue
			}
			failed.blames(w)
			never = append(never, name)
		}
	}
	// Some were heard again for a moment, and nobody has heard of it.
	recovered := conn.recovered
	conn.recovered = nil
	f.status.change()
	f.status.mu.Unlock()
	for before, names := range recovered {
		f.pubsub.errors.recovered(*before, names)
	}
	if len(never) > 0 && f.pubsub.ctx.Err() == nil {
		f.fail(*failed, never)
	}
}

// blames makes t the reason why w is not heard, if it has none yet; t began no
// later than w was last heard.
func (t *trouble) blames(w *wish) {
	if w.deaf.since.Before(t.since) {
		t.since = w.deaf.since
	}
	if w.deaf.op == "" {
		w.deaf = t
	}
}

// unreachable reports that no connection could be made.
func (f *feed) unreachable(op string, err error) {
	if f.pubsub.ctx.Err() != nil {
		return // close is why
	}
	if s := f.pubsub.shards; s != nil && s.cluster != nil {
		s.cluster.ReloadState(f.pubsub.ctx)
		if f.shard == nil {
			s.seat.Store(nil)
		}
	}
	f.status.mu.Lock()
	t := &trouble{op: op, err: err, since: time.Now()}
	for _, wishes := range f.wishes {
		for _, w := range wishes {
			w.asked = nil
			t.blames(w)
		}
	}
	names := f.all()
	f.status.mu.Unlock()
	f.fail(*t, names)
}

// fail tells those who wait in Ready, or else the error handler.
func (f *feed) fail(t trouble, names []string) {
	if !f.status.fail(t, names) {
		f.pubsub.errors.report(t, names)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"maps"
	"slices"
	"time"
)

// connect opens a connection and asks for all wishes on it.
func (f *feed) connect(ctx context.Context) (*connection, error) {
	home, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	f.status.mu.Lock()
	var asks []*command
	for to := range kinds {
		asks = append(asks, f.commands(subscribeOps[to], to, slices.Collect(maps.Keys(f.wishes[to])))...)
	}
	f.status.mu.Unlock()
	if len(asks) == 0 {
		return nil, errNoWish // somebody has just removed the last one
	}
	conn := newConnection(ctx, home)
	for _, cmd := range asks {
		f.note(conn, cmd)
		// The first of them dials.
		if err := conn.write(ctx, cmd); err != nil {
			conn.close(err)
			return nil, err
		}
		ctx = hungUp
	}
	return conn, nil
}

// commands returns what asks for op on names: one command, but for the sharded
// channels of a cluster one each, as a command must not be about several slots.
func (f *feed) commands(op string, to kind, names []string) []*command {
	switch {
	case len(names) == 0:
		return nil
	case !f.slotted():
		return []*command{{op: op, to: to, names: names}}
	}
	commands := make([]*command, len(names))
	for i := range names {
		commands[i] = &command{op: op, to: to, names: names[i : i+1]}
	}
	return commands
}

// ask sends what asks for op on names. f.writing is held.
func (f *feed) ask(conn *connection, op string, to kind, names []string) error {
	for _, cmd := range f.commands(op, to, names) {
		if err := f.send(conn, cmd); err != nil {
			return err
		}
	}
	return nil
}

// adopt makes conn the connection of the feed, and settles what was added and
// removed while it was dialed. f.writing is held.
func (f *feed) adopt(conn *connection) error {
	f.status.mu.Lock()
	if f.status.closed {
		f.status.mu.Unlock()
		conn.close(errClosed)
		return errClosed
	}
	f.conn, f.initial = conn, nil
	again := f.broken
	f.broken = false
	var settle []*command
	for _, cmd := range conn.pending {
		wishes := f.wishes[cmd.to]
		gone := slices.DeleteFunc(slices.Clone(cmd.names), func(name string) bool { return wishes[name] != nil })
		if len(gone) > 0 {
			settle = append(settle, &command{op: unsubscribeOps[cmd.to], to: cmd.to, names: gone})
		}
	}
	f.status.mu.Unlock()
	if again {
		f.pubsub.countReconnect()
	}
	for _, cmd := range settle {
		if f.send(conn, cmd) != nil {
			return nil // the read will tell
		}
	}
	f.askAgain(conn)
	return nil
}

// askAgain asks for every wish that is not asked for on conn: it was refused, or
// is newer than the connection. f.writing is held.
func (f *feed) askAgain(conn *connection) {
	for to := range kinds {
		f.status.mu.Lock()
		var names []string
		for name, w := range f.wishes[to] {
			if w.asked == nil {
				names = append(names, name)
			}
		}
		f.status.mu.Unlock()
		if f.ask(conn, subscribeOps[to], to, names) != nil {
			return
		}
	}
}

// send sends cmd on conn. When that fails the connection is done with, and the
// read gets to know. f.writing is held.
func (f *feed) send(conn *connection, cmd *command) error {
	f.note(conn, cmd)
	err := conn.write(hungUp, cmd)
	if err != nil {
		conn.close(err)
	}
	return err
}

// note remembers that cmd waits for its answers on conn.
func (f *feed) note(conn *connection, cmd *command) {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	cmd.sent = time.Now()
	conn.pending = append(conn.pending, cmd)
	if !cmd.subscribes() {
		return
	}
	select {
	case <-conn.closed: // on the next one the name may have been asked for already
		return
	default:
	}
	for _, name := range cmd.names {
		if w := f.wishes[cmd.to][name]; w != nil {
			w.asked = cmd
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// shard is a server with the topics that are subscribed to on it, over one connection at
// a time. It is part of the state.
type shard struct {
	sub *Subscription

	// A spread shard is for topics that belong on a certain server. The main shard, which is
	// not spread, is for all other topics.
	spread  bool
	client  *redis.Client // the owner, of a spread shard; nil: it is not known
	unknown error         // why the owner is not known
	placing placing       // of a spread shard

	topics topics
	conn   *connection // nil: there is none, or it is lost
	lost   bool        // the last connection was lost, and not replaced yet
	hung   []*connection

	// early is the outage that a failure to connect before Start has begun. It is
	// reported by Ready or after Start.
	early *outage

	running bool          // run has been started
	stopped chan struct{} // closed when run has returned
}

func (sh *shard) state() *state { return &sh.sub.state }

// start starts run, if the Subscription has been started. A spread shard also needs topics, or a
// connection on which messages may wait.
func (sh *shard) start() {
	st := sh.state()
	unused := sh.spread && sh.idle() && sh.conn == nil
	if sh.running || !st.started || st.closed || unused {
		return
	}
	sh.running, sh.stopped = true, make(chan struct{})
	go sh.run(sh.stopped)
}

// idle reports whether sh has no topics.
func (sh *shard) idle() bool { return sh.topics.empty() }

// connectsIdle reports whether sh connects though it has no topics: the main shard does if
// there are no topics at all. Its connection shows when the client is closed. A Ring has no
// server for it.
func (sh *shard) connectsIdle() bool {
	return !sh.spread && sh.state().empty() && sh.sub.topology.reach(Channels, "") == onMain
}

// oneByOne reports whether each topic of a kind needs a command of its own. Sharded channels of
// a cluster do, because a command may have those of only one slot.
func (sh *shard) oneByOne(k Kind) bool { return k == ShardChannels && sh.sub.topology.cluster() != nil }

// add adds topics, and returns the names of those that are new.
func (sh *shard) add(k Kind, names []string) (added []string) {
	st := sh.state()
	since := &outage{since: time.Now()}
	for _, name := range names {
		if sh.topics[k][name] == nil {
			sh.set(k, name, &topic{}, since)
			added = append(added, name)
		}
	}
	if early := st.main.early; early != nil && errors.Is(early.err, errNoTopic) {
		st.main.early = nil
	}
	st.notify()
	return added
}

// set adds a topic that is in the outage o.
func (sh *shard) set(k Kind, name string, t *topic, o *outage) {
	sh.state().setOutage(t, o)
	sh.topics.set(k, name, t)
	sh.start()
}

// delete deletes a topic.
func (sh *shard) delete(k Kind, name string) {
	sh.state().setOutage(sh.topics[k][name], nil)
	delete(sh.topics[k], name)
}

// remove removes topics, or all topics of a kind if names is empty. It returns the names of
// those that sh had, and their outages.
func (sh *shard) remove(k Kind, names []string) (removed []string, in outages) {
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(sh.topics[k]))
	}
	for _, name := range names {
		if t := sh.topics[k][name]; t != nil {
			in.addLost(name, t)
			sh.delete(k, name)
			removed = append(removed, name)
		}
	}
	return removed, in
}

// adopt makes conn the connection of sh and subscribes to all topics on it. If sh has a
// connection, it closes conn. It returns the connection to use.
func (sh *shard) adopt(conn *connection) *connection {
	switch {
	case sh.conn != nil:
		conn.close(errRetired)
		return sh.conn
	case sh.idle() && !sh.connectsIdle(): // the last topic was removed in the meantime
		conn.close(errRetired)
		return conn
	case sh.state().over():
		conn.close(errEnded)
		return conn
	}
	sh.conn, sh.early = conn, nil
	conn.setName(sh.state().name)
	if sh.resubscribe(); sh.idle() {
		conn.enqueue(&command{op: opPing}) // a connection dials with its first command
	}
	return conn
}

// callersWaitFor returns what a call of the user waits for, if it has sent w: nothing while
// run dials, which may take long.
func (sh *shard) callersWaitFor(w sending) sending {
	if sh.conn == nil || sh.state().started && !sh.conn.isUp() {
		return sending{}
	}
	return w
}

// dropFailedDial removes a connection that could not be made before Start. The call that has
// dialed did not wait for it, or does not know of it yet.
func (sh *shard) dropFailedDial() {
	if conn := sh.conn; conn != nil && !sh.state().started && conn.isClosed() && !conn.isUp() {
		sh.state().failed(conn.cause)
		sh.dropConnection()
	}
}

// dropConnection removes the connection. No command is pending then.
func (sh *shard) dropConnection() {
	if sh.conn != nil {
		sh.conn.removeUnanswered()
	}
	sh.conn = nil
	sh.state().notify()
	sh.topics.all(func(_ Kind, _ string, t *topic) { t.pending = nil })
}

// resubscribe subscribes to the topics without a pending command: those that the present
// connection has not subscribed to yet, and those that were refused.
func (sh *shard) resubscribe() {
	if sh.conn == nil || sh.conn.isClosed() || sh.state().over() {
		return
	}
	for k := range kinds {
		var names []string
		for name, t := range sh.topics[k] {
			if t.pending == nil {
				names = append(names, name)
			}
		}
		sh.subscribe(k, names)
	}
}

// subscribe sends the commands that subscribe to topics.
func (sh *shard) subscribe(k Kind, names []string) sending {
	commands := commandsFor(k.subscribeOp(), k, names, sh.oneByOne(k))
	for _, cmd := range commands {
		sh.pend(cmd)
	}
	return sh.conn.enqueue(commands...)
}

// pend makes cmd the pending command of its topics.
func (sh *shard) pend(cmd *command) {
	for _, name := range cmd.names {
		if t := sh.topics[cmd.kind][name]; t != nil {
			t.pending = cmd
		}
	}
}

// unsubscribe sends the commands that unsubscribe from topics. Without a connection, there
// is nothing to send.
func (sh *shard) unsubscribe(k Kind, names []string) sending {
	if sh.conn == nil {
		return sending{}
	}
	return sh.conn.enqueue(commandsFor(k.unsubscribeOp(), k, names, sh.oneByOne(k))...)
}

// leave is unsubscribe for topics that were removed by a call. The Observer is notified when
// no message of them can come any more.
func (sh *shard) leave(k Kind, names []string) (w sending) {
	if sh.conn != nil {
		commands := commandsFor(k.unsubscribeOp(), k, names, sh.oneByOne(k))
		for _, cmd := range commands {
			cmd.removes = true
		}
		w = sh.conn.enqueue(commands...)
	}
	if w.cmd == nil { // there is no connection, or it is closed
		sh.state().removed(k, names...)
	}
	return w
}

// removeUnanswered handles the event that the connection is lost, for topics that were removed
// and of which the server has not confirmed it.
func (c *connection) removeUnanswered() {
	for _, cmd := range slices.Concat(c.unanswered, c.queue) {
		if cmd.removes {
			c.sub.state.removed(cmd.kind, cmd.names[cmd.answered:]...)
		}
	}
}

// removed notifies the Observer that topics were removed. It is part of the state.
func (st *state) removed(k Kind, names ...string) {
	if len(names) > 0 {
		st.after(func() { st.sub.observer.Removed(k, names) })
	}
}

// server returns the server to connect to. It may wait for a cluster. It is not part of the
// state.
func (sh *shard) server(ctx context.Context) (server endpoint, err error) {
	if !sh.spread {
		return sh.sub.topology.shared(ctx)
	}
	sh.sub.update(func(*state) {
		if err = sh.unknown; sh.client != nil {
			server, err = endpoint{client: sh.client}, nil
		}
	})
	return server, err
}

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

	// spread: this is the server that owns its topics. Another one may turn out to own
	// them. The main shard, which is not spread, is for all others.
	spread  bool
	client  *redis.Client // of a spread shard; nil: the owner is not known
	unknown error         // why not
	placing placing       // of a spread shard

	topics topics
	conn   *connection // nil: none, or it is lost
	lost   bool        // the last connection was lost, and none has taken its place

	// early is an attempt that failed before Start. It is reported after it.
	early *outage

	running bool          // run is at it
	stopped chan struct{} // closed when run has returned
}

func (sh *shard) state() *state { return &sh.sub.state }

// start begins to read, if the Subscription does and there is something to read.
func (sh *shard) start() {
	st := sh.state()
	if sh.running || !st.started || st.closed || sh.spread && sh.idle() {
		return
	}
	sh.running, sh.stopped = true, make(chan struct{})
	st.after(func() { go sh.run() })
}

// idle reports whether there are no topics.
func (sh *shard) idle() bool { return sh.topics.empty() }

// oneByOne reports whether each topic needs a command of its own: sharded channels of a
// cluster are in different slots.
func (sh *shard) oneByOne() bool { return sh.spread && sh.sub.topology.cluster() != nil }

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

// set gives sh a topic that is in an outage.
func (sh *shard) set(k Kind, name string, t *topic, o *outage) {
	sh.state().setOutage(t, o)
	sh.topics.set(k, name, t)
	sh.start()
}

// delete takes a topic away from sh.
func (sh *shard) delete(k Kind, name string) {
	sh.state().setOutage(sh.topics[k][name], nil)
	delete(sh.topics[k], name)
}

// remove removes topics, or all of a kind. It returns their names, and the outages that
// they were in.
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

// adopt makes conn the connection of sh, unless there is one, and subscribes to all
// topics on it. It returns the connection to use.
func (sh *shard) adopt(conn *connection) *connection {
	switch {
	case sh.conn != nil:
		conn.close(errRetired)
		return sh.conn
	case sh.idle(): // the last topic was removed while conn was made
		conn.close(errRetired)
		return conn
	case sh.state().closed:
		conn.close(ErrClosed)
		return conn
	}
	sh.conn, sh.early = conn, nil
	sh.resubscribe()
	return conn
}

// dropConnection notes that there is no connection: no command is pending any more.
func (sh *shard) dropConnection() {
	sh.conn = nil
	sh.topics.all(func(_ Kind, _ string, t *topic) { t.pending = nil })
}

// resubscribe subscribes to each topic for which no command is pending on the present
// connection: it is new there, or was refused.
func (sh *shard) resubscribe() {
	if sh.conn == nil || sh.conn.isClosed() {
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
	commands := commandsFor(k.subscribeOp(), k, names, sh.oneByOne())
	for _, cmd := range commands {
		sh.pend(cmd)
	}
	return sh.conn.enqueue(commands...)
}

// pend notes that cmd subscribes to its topics.
func (sh *shard) pend(cmd *command) {
	for _, name := range cmd.names {
		if t := sh.topics[cmd.kind][name]; t != nil {
			t.pending = cmd
		}
	}
}

// unsubscribe sends the commands that unsubscribe from topics, if there is a connection.
func (sh *shard) unsubscribe(k Kind, names []string) sending {
	if sh.conn == nil {
		return sending{}
	}
	return sh.conn.enqueue(commandsFor(k.unsubscribeOp(), k, names, sh.oneByOne())...)
}

// server returns where sh is to connect to. It may ask a cluster.
func (sh *shard) server(ctx context.Context) (server Subscriber, err error) {
	if !sh.spread {
		return sh.sub.topology.shared(ctx)
	}
	sh.sub.update(func(*state) {
		if err = sh.unknown; sh.client != nil {
			server, err = sh.client, nil
		}
	})
	return server, err
}

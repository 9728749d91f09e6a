// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// kind is what a name stands for.
type kind int

const (
	toChannels kind = iota
	toPatterns
	toShards
	kinds
)

// feed keeps a set of names subscribed to, over one connection at a time. It
// replaces a connection that is in trouble by a new one, with a *redis.PubSub of
// its own: what go-redis does by itself about a lost connection is invisible,
// knows no back-off, and forgets names that were refused.
type feed struct {
	pubsub *PubSub // gets the messages and the reports
	status *status // shared by the feeds of a PubSub

	// open says where to connect to.
	open func(ctx context.Context) (Subscriber, error)
	// shard is set for a feed that is one of several: what it wants may turn out
	// to be another's.
	shard *shard

	// writing is held to change what is wanted and to send the command for it, so
	// that both happen in one order.
	writing sync.Mutex

	// Guarded by status.mu.
	wishes  [kinds]map[string]*wish
	conn    *connection // nil: none
	initial *trouble    // of an attempt before anybody read; nobody has heard of it
	broken  bool        // the last connection was lost, and there is none in its place yet

	running bool
	stopped chan struct{} // closed when the goroutine that reads has ended
	retired bool          // one of several, and not one of them any more
}

// wish is a name that is to be subscribed to.
type wish struct {
	asked *command // that asks for it on the present connection; nil: none does
	deaf  *trouble // why it is not heard, and since when; nil: it is confirmed
}

// addFeed adds a feed. status.mu is held.
func (p *PubSub) addFeed(open func(ctx context.Context) (Subscriber, error), s *shard) *feed {
	f := &feed{pubsub: p, status: &p.status, open: open, shard: s}
	p.status.feeds = append(p.status.feeds, f)
	return f
}

// start begins to read, if the subscription does and there is something to read.
// status.mu is held.
func (f *feed) start() {
	if f.running || !f.status.started || f.status.closed || f.shard != nil && f.idle() {
		return
	}
	f.running = true
	f.stopped = make(chan struct{})
	go f.run(f.stopped)
}

// add asks for names. Those that are wanted already are left alone.
func (f *feed) add(ctx context.Context, to kind, names []string) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	fresh, conn, started, err := f.want(to, names)
	switch {
	case err != nil || len(fresh) == 0:
		return err
	case conn != nil:
		// Should this fail, the names are asked for again on the next connection.
		_ = f.ask(conn, subscribeOps[to], to, fresh)
		return nil
	case started:
		return nil // the reading goroutine connects
	}
	conn, err = f.connect(ctx)
	switch {
	case err == nil:
		return f.adopt(conn)
	case errors.Is(err, errNoWish):
		return nil
	}
	f.pubsub.countError(err)
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	f.initial = &trouble{op: OpConnect, err: err, since: time.Now()}
	return err
}

// want notes wishes for names, and returns those that are new.
func (f *feed) want(to kind, names []string) (fresh []string, conn *connection, started bool, err error) {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	switch {
	case f.status.closed:
		return nil, nil, false, errClosed
	case f.retired:
		return nil, nil, false, errRetired
	}
	unasked := &trouble{since: time.Now()}
	for _, name := range names {
		if f.wishes[to][name] == nil {
			f.setWish(to, name, &wish{deaf: unasked})
			f.status.missing++
			fresh = append(fresh, name)
		}
	}
	f.status.change()
	return fresh, f.conn, f.status.started, nil
}

// setWish is called with status.mu held.
func (f *feed) setWish(to kind, name string, w *wish) {
	if f.wishes[to] == nil {
		f.wishes[to] = make(map[string]*wish)
	}
	f.wishes[to][name] = w
	f.start()
}

// remove gives up names, or all of a kind. It returns the outages that they were in:
// what was published meanwhile is lost, and nothing else will tell of it.
func (f *feed) remove(to kind, names []string) (outages, error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	gone, in, conn, err := f.unwant(to, names)
	if err == nil && conn != nil {
		_ = f.ask(conn, unsubscribeOps[to], to, gone)
	}
	return in, err
}

func (f *feed) unwant(to kind, names []string) (gone []string, in outages, conn *connection, err error) {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	if f.status.closed {
		return nil, nil, nil, errClosed
	}
	in = make(outages)
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(f.wishes[to]))
	}
	for _, name := range names {
		if w := f.wishes[to][name]; w != nil {
			if w.deaf != nil {
				f.status.missing--
			}
			in.add(name, w)
			delete(f.wishes[to], name)
			gone = append(gone, name)
		}
	}
	f.status.change()
	return gone, in, f.conn, nil
}

func (f *feed) ping(payload []string) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.status.mu.Lock()
	conn, closed := f.conn, f.status.closed
	f.status.mu.Unlock()
	switch {
	case closed:
		return errClosed
	case conn == nil:
		return errNotConnected
	}
	return f.send(conn, &command{op: opPing, payload: payload})
}

// all returns the names of all kinds. status.mu is held.
func (f *feed) all() []string {
	var names []string
	for _, wishes := range f.wishes {
		names = slices.AppendSeq(names, maps.Keys(wishes))
	}
	return names
}

// unused says that the feed wants nothing, and has no connection.
func (f *feed) unused() bool {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	return f.conn == nil && f.idle()
}

// slotted says that what the feed wants are sharded channels of a cluster, which
// go with their slots.
func (f *feed) slotted() bool { return f.shard != nil && f.shard.cluster != nil }

// idle says that the feed wants nothing. status.mu is held.
func (f *feed) idle() bool {
	for _, wishes := range f.wishes {
		if len(wishes) > 0 {
			return false
		}
	}
	return true
}

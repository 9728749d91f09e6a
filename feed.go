// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"maps"
	"math/rand/v2"
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

	running bool
	stopped chan struct{} // closed when the goroutine that reads has ended
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
	if conn, err = f.connect(ctx); err == nil {
		return f.adopt(conn)
	}
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	f.initial = &trouble{op: opConnect, err: err, since: time.Now()}
	return err
}

// want notes wishes for names, and returns those that are new.
func (f *feed) want(to kind, names []string) (fresh []string, conn *connection, started bool, err error) {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	if f.status.closed {
		return nil, nil, false, errClosed
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

// remove gives up names, or all of a kind.
func (f *feed) remove(to kind, names []string) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	gone, conn, err := f.unwant(to, names)
	if err == nil && conn != nil {
		_ = f.ask(conn, unsubscribeOps[to], to, gone)
	}
	return err
}

func (f *feed) unwant(to kind, names []string) (gone []string, conn *connection, err error) {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	if f.status.closed {
		return nil, nil, errClosed
	}
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(f.wishes[to]))
	}
	for _, name := range names {
		if w := f.wishes[to][name]; w != nil {
			if w.deaf != nil {
				f.status.missing--
			}
			delete(f.wishes[to], name)
			gone = append(gone, name)
		}
	}
	f.status.change()
	return gone, f.conn, nil
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

// all returns the names of all kinds, sorted. status.mu is held.
func (f *feed) all() []string {
	var names []string
	for _, wishes := range f.wishes {
		names = slices.AppendSeq(names, maps.Keys(wishes))
	}
	slices.Sort(names)
	return names
}

// idle says that the feed wants nothing. status.mu is held.
func (f *feed) idle() bool {
	for _, wishes := range f.wishes {
		if len(wishes) > 0 {
			return false
		}
	}
	return true
}

// run reads, from one connection after the other, until the subscription is
// closed, or a feed that is one of several wants nothing any more.
func (f *feed) run(stopped chan<- struct{}) {
	defer close(stopped)
	var wait backoff
	for {
		conn, err := f.connected()
		if err == errRetired {
			return
		}
		if err == nil {
			began := time.Now()
			if err := f.read(conn); err != errRetired {
				f.lost(conn, err)
			}
			wait.lived(time.Since(began))
		}
		select {
		case <-f.pubsub.ctx.Done():
			f.pubsub.errors.close()
			return
		case <-time.After(wait.next()):
		}
	}
}

// connected returns a connection as soon as there is any name to ask for.
func (f *feed) connected() (*connection, error) {
	if f.shard != nil {
		f.shard.settle(f.pubsub.ctx, f, false)
	}
	if !f.awaitWish() {
		return nil, errRetired
	}
	// A call of add that began before the reading did may be connecting, and holds
	// f.writing.
	f.writing.Lock()
	f.status.mu.Lock()
	conn, closed, initial := f.conn, f.status.closed, f.initial
	f.initial = nil
	f.status.mu.Unlock()
	f.writing.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case conn != nil:
		return conn, nil
	case initial != nil:
		f.unreachable(initial.op, initial.err)
		return nil, initial.err
	}
	conn, err := f.connect(f.pubsub.ctx)
	if err != nil {
		f.unreachable(opConnect, err)
		return nil, err
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	return conn, f.adopt(conn)
}

// awaitWish waits until there is something to do. A feed that is one of several
// does not wait: it is started again when there is.
func (f *feed) awaitWish() bool {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	for f.idle() && f.initial == nil && !f.status.closed {
		if f.shard != nil {
			f.running = false
			return false
		}
		changed := f.status.changed
		f.status.mu.Unlock()
		<-changed
		f.status.mu.Lock()
	}
	return true
}

// backoff is how long to wait before the next connection.
type backoff struct{ failures int }

const (
	shortestWait = 10 * time.Millisecond
	longestWait  = time.Second
	// A connection that lived for this long was a good one.
	goodConnection = time.Second
)

func (b *backoff) lived(d time.Duration) {
	if d >= goodConnection {
		b.failures = 0
	}
}

// next grows with each failure. The jitter keeps subscribers apart that have
// lost the same server.
func (b *backoff) next() time.Duration {
	wait := min(shortestWait<<min(b.failures, 10), longestWait)
	b.failures++
	return wait/2 + rand.N(wait/2+1)
}

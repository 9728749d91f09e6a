// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// run reads, from one connection after the other, until the subscription is
// closed, or a feed that is one of several wants nothing any more.
func (f *feed) run(stopped chan<- struct{}) {
	defer close(stopped)
	var wait backoff
	for {
		conn, err := f.connected()
		if errors.Is(err, errRetired) {
			return
		}
		if err == nil {
			began := time.Now()
			if err := f.read(conn); !errors.Is(err, errRetired) {
				f.lost(conn, err)
			}
			wait.lived(time.Since(began))
		}
		select {
		case <-f.pubsub.ctx.Done():
			f.cutShort()
			f.pubsub.errors.close()
			return
		case <-time.After(wait.next()):
		}
	}
}

// cutShort reports the outages that are not over when the subscription is closed:
// nothing else will tell of their end.
func (f *feed) cutShort() {
	outages := make(outages)
	f.status.mu.Lock()
	for _, wishes := range f.wishes {
		for name, w := range wishes {
			outages.add(name, w)
		}
	}
	f.status.mu.Unlock()
	outages.report(f)
}

// outages are those of names about which nobody has to ask any more.
type outages map[*trouble][]string

// add is called with status.mu held.
func (o outages) add(name string, w *wish) {
	if w.deaf != nil && w.deaf.op == OpReceive && !errors.Is(w.deaf.err, errClosed) {
		o[w.deaf] = append(o[w.deaf], name)
	}
}

func (o outages) report(f *feed) {
	for t, names := range o {
		f.pubsub.errors.report(*t, names)
	}
}

// connected returns a connection as soon as there is any name to ask for.
func (f *feed) connected() (*connection, error) {
	if f.shard != nil && !f.failedEarly() {
		f.shard.settle(f.pubsub.ctx, f)
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
		if !errors.Is(err, errNoWish) {
			f.pubsub.countError(err)
			f.unreachable(OpConnect, err)
		}
		return nil, err
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	return conn, f.adopt(conn)
}

// failedEarly says that an attempt has failed of which nobody has heard.
func (f *feed) failedEarly() bool {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	return f.initial != nil
}

// awaitWish waits until there is something to do. A feed that is one of several
// does not wait: it retires, and there will be another one.
func (f *feed) awaitWish() bool {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	for f.idle() && f.initial == nil && !f.status.closed {
		if f.shard != nil {
			f.retire()
			return false
		}
		changed := f.status.changed
		f.status.mu.Unlock()
		<-changed
		f.status.mu.Lock()
	}
	return true
}

// retire takes the feed out of those of its subscription. status.mu is held.
func (f *feed) retire() {
	f.running, f.retired = false, true
	f.status.feeds = slices.DeleteFunc(f.status.feeds, func(g *feed) bool { return g == f })
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package subscription keeps a go-redis subscription alive: it reconnects, subscribes
// again, follows topics to the servers that own them, and reports what could not be
// received meanwhile.
//
// A [Subscription] has a set of topics (channels and patterns) and one or more shards.
// A shard is a server with the topics that are subscribed to on it, over one connection
// at a time. A single server is one shard; a cluster has one for each master with sharded
// channels, and one for everything else; a Ring has one for each server.
//
// All state is in one struct, [state]. Its methods take events (a topic was added, the
// server confirmed it, a connection was lost) and change it; they never wait, and do no
// I/O. Subscription.update calls them, one at a time, and is the only place that locks.
// What waits for the network is on goroutines of its own: each connection is read by its
// shard's run, and written to by flush.
package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Subscriber opens subscriptions: a *redis.Client, *redis.ClusterClient or *redis.Ring,
// or what has their methods.
type Subscriber interface {
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// Config is what a Subscription needs from its user.
type Config struct {
	// Client is where to subscribe.
	Client Subscriber
	// Deliver takes each message, on the goroutine that reads. While it waits, nothing
	// is read, and the server is not held to be silent. It must return after Close.
	Deliver func(*redis.Message)
	// Observer is told what happens.
	Observer Observer
}

// Observer is told what happens to a Subscription. Its methods may be called from several
// goroutines.
type Observer interface {
	// Failed is called for each failure: a connection is lost or cannot be made, or a
	// topic is refused or taken away.
	Failed(err error)
	// Reconnected is called when a connection takes the place of a lost one.
	Reconnected()
	// Report is called for what a person should know. Failures that repeat are one
	// report a second. The goroutine that has the failure waits until it returns.
	Report(f *Failure)
}

// ErrClosed is returned by the methods of a closed Subscription.
var ErrClosed = fmt.Errorf("tracedpubsub: subscription: %w", redis.ErrClosed)

var errNotConnected = errors.New("tracedpubsub: not connected")

// Subscription keeps topics subscribed to until it is closed. Its methods are safe for
// concurrent use.
type Subscription struct {
	deliver  func(*redis.Message)
	observer Observer
	topology topology

	ctx    context.Context // canceled by Close
	cancel context.CancelFunc

	mu      sync.Mutex // for update alone
	state   state
	started atomic.Bool // as in state, to be read without the lock
}

// New returns a Subscription without topics.
func New(cfg Config) *Subscription {
	s := &Subscription{
		deliver:  cfg.Deliver,
		observer: cfg.Observer,
		topology: topologyOf(cfg.Client),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.state.init(s)
	return s
}

// update calls change, which may use the state, and then does what change has left for
// later: what waits, or calls code of the user.
func (s *Subscription) update(change func(st *state)) {
	s.mu.Lock()
	change(&s.state)
	later := s.state.later
	s.state.later = nil
	s.mu.Unlock()
	for _, f := range later {
		f()
	}
}

// updateOpen is update, unless the Subscription is closed.
func (s *Subscription) updateOpen(change func(st *state)) (err error) {
	s.update(func(st *state) {
		if st.closed {
			err = ErrClosed
			return
		}
		change(st)
	})
	return err
}

// Subscribe adds topics. Before Start it connects, with ctx; its error says why that
// failed. Otherwise it returns when the command is on its way, or will be as soon as there
// is a connection. The server has not confirmed the topics then: see Ready.
func (s *Subscription) Subscribe(ctx context.Context, k Kind, names ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(names) == 0 {
		return s.subscribeToNothing(k)
	}
	var errs []error
	for _, p := range s.place(ctx, k, names) {
		errs = append(errs, s.subscribeOn(ctx, p))
	}
	return errors.Join(errs...)
}

// subscribeToNothing is the Subscribe of no names. A Ring has no server for it.
func (s *Subscription) subscribeToNothing(k Kind) error {
	return s.updateOpen(func(st *state) {
		if s.topology.spreads(Channels) && !st.hasTopics() { // only a Ring spreads them
			st.main.early = &outage{op: k.subscribeOp(), err: errNoTopic, since: time.Now()}
			st.failed(errNoTopic)
		}
	})
}

// subscribeOn adds the topics of a placement to its shard.
func (s *Subscription) subscribeOn(ctx context.Context, p placement) error {
	var sh *shard
	var sent sending
	dial := false
	err := s.updateOpen(func(st *state) {
		sh = st.shardOf(p)
		if !st.started && sh.conn != nil && sh.conn.isClosed() && !sh.conn.isUp() {
			sh.dropConnection() // the call that dialed did not wait for the failure
		}
		added := sh.add(p.kind, p.names)
		switch {
		case len(added) == 0:
		case sh.conn != nil:
			sent = sh.subscribe(p.kind, added)
		default:
			dial = !st.started
		}
	})
	switch {
	case err != nil:
		return err
	case dial:
		return s.connectEarly(ctx, sh)
	}
	return sent.wait(ctx)
}

// Unsubscribe removes topics, or all of a kind if no names are given. An outage that
// they are in is reported: nothing else will tell of it.
func (s *Subscription) Unsubscribe(ctx context.Context, k Kind, names ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var sent []sending
	err := s.updateOpen(func(st *state) {
		for _, sh := range st.shards {
			removed, outages := sh.remove(k, names)
			st.reportAll(outages)
			sent = append(sent, sh.unsubscribe(k, removed))
		}
		st.notify()
	})
	for _, w := range sent {
		err = errors.Join(err, w.wait(ctx))
	}
	return err
}

// Ping sends a PING on each connection that is used. It does not wait for the answer.
func (s *Subscription) Ping(ctx context.Context, payload ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var sent []sending
	connected := true
	err := s.updateOpen(func(st *state) {
		for _, sh := range st.shards {
			switch {
			case sh.conn != nil:
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

// Topics returns the names of a kind, sorted.
func (s *Subscription) Topics(k Kind) (names []string) {
	s.update(func(st *state) {
		for _, sh := range st.shards {
			for name := range sh.topics[k] {
				names = append(names, name)
			}
		}
	})
	slices.Sort(names)
	return slices.Compact(names) // a pattern may be on several shards
}

// Start begins to read, if that has not begun. Until then there is no goroutine.
func (s *Subscription) Start() {
	if s.started.Load() {
		return
	}
	s.update(func(st *state) { st.start() })
}

// closeWait is how long Close waits for the goroutines. They end within it, unless
// go-redis is dialing or shaking hands, or an Observer takes its time or is what calls
// Close.
const closeWait = 50 * time.Millisecond

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	s.cancel() // first: what ends from here on is no failure
	var ending []<-chan struct{}
	s.update(func(st *state) { ending = st.close() })
	timeout := time.NewTimer(closeWait)
	defer timeout.Stop()
	for _, ended := range ending {
		select {
		case <-ended:
		case <-timeout.C:
			return
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package subscription keeps a go-redis subscription alive. It reconnects, subscribes
// again, moves topics to the servers that own them, and reports outages.
//
// A [Subscription] has a set of topics (channels and patterns) and one or more shards. A
// shard is a server with the topics that are subscribed to on it, over one connection at a
// time. A single server is one shard. A cluster has one shard for each master with sharded
// channels or keyspace notifications, and one for all other topics. A Ring has one for each server.
//
// All state is in one struct, [state]. Its methods handle events (a topic was added, the
// server has confirmed it, a connection was lost). They never wait, and do no I/O.
// Subscription.update calls them, one at a time, and is the only place that locks.
//
// I/O is done by other goroutines. Each shard has one that connects and reads (run.go,
// read.go), and each connection has one while there are commands to write (connection.go).
// A timer checks that the servers are alive and own their topics (health.go,
// reconcile.go).
package subscription

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Subscriber opens subscriptions. *redis.Client, *redis.ClusterClient and *redis.Ring
// implement it, and have more methods that a Subscription uses.
type Subscriber interface {
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// Config holds what a Subscription needs. All fields are required, but for PingSilence.
type Config struct {
	// Client is the client to subscribe with.
	Client Subscriber
	// Deliver is called with each message, on the goroutine that reads. Until it
	// returns, nothing is read, and the server does not count as silent. It must return
	// after Close.
	Deliver func(*redis.Message)
	// Observer is notified of failures.
	Observer Observer
	// PingSilence is the silence after which a PING is sent. 0: no PING is sent at all.
	PingSilence time.Duration
}

// Observer is notified of the failures of a Subscription, and of their end. Its methods may
// be called from several goroutines.
type Observer interface {
	// Failed is called for each failure: a connection is lost or cannot be made, the
	// server refuses a topic, or another server takes it over.
	Failed(err error)
	// Reconnected is called when a new connection has replaced a lost one.
	Reconnected()
	// Report is called with failures, and with the recovery, for people to read. The same
	// failure is reported at most once a second. The goroutine that has the failure waits
	// until Report returns.
	Report(f *Failure)
	// Removed is called for topics for which Unsubscribe was called, when no message of them can
	// come any more: all that the server had sent is delivered, or the connection is lost.
	Removed(k Kind, names []string)
	// Closed is called when the client was closed, after a report of that. The Subscription
	// is closed then.
	Closed()
}

// ErrClosed is returned by the methods of a closed Subscription. It is the error of
// go-redis itself, which programs compare with ==.
var ErrClosed = redis.ErrClosed

var errNotConnected = errors.New("tracedpubsub: not connected")

// Subscription subscribes to topics until it is closed. Its methods are safe for concurrent
// use.
type Subscription struct {
	deliver  func(*redis.Message)
	observer Observer
	topology topology

	pingSilence time.Duration

	ctx    context.Context // canceled by Close
	cancel context.CancelFunc

	mu      sync.Mutex // used by update only
	state   state
	started atomic.Bool // a copy of state.started, to be read without the lock
}

// New returns a Subscription without topics.
func New(cfg Config) *Subscription {
	s := &Subscription{
		deliver:  cfg.Deliver,
		observer: cfg.Observer,
		topology: topologyOf(cfg.Client),

		pingSilence: cfg.PingSilence,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.state.init(s)
	return s
}

// update calls change, which may use the state. When it has unlocked, it does what change has
// added to the effects of the state.
func (s *Subscription) update(change func(st *state)) {
	s.mu.Lock()
	change(&s.state)
	left := s.state.effects
	s.state.effects = effects{}
	s.mu.Unlock()
	left.run(s.observer)
}

// updateOpen is like update. If the Subscription is closed or drained, it returns ErrClosed and
// does not call change.
func (s *Subscription) updateOpen(change func(st *state)) (err error) {
	s.update(func(st *state) {
		if st.over() {
			err = ErrClosed
			return
		}
		change(st)
	})
	return err
}

// Topics returns the names of all topics of a kind, sorted.
func (s *Subscription) Topics(k Kind) (names []string) {
	s.update(func(st *state) {
		for _, sh := range st.shards {
			for name := range sh.topics[k] {
				names = append(names, name)
			}
		}
	})
	slices.Sort(names)
	return slices.Compact(names) // a topic may be on several shards
}

// Start starts the goroutines that read, unless they run already.
func (s *Subscription) Start() {
	if s.started.Load() {
		return
	}
	s.update(func(st *state) { st.start() })
}

// closeWait is how long Close waits for the goroutines. They take longer only if go-redis is
// in a dial or handshake, or if a method of the Observer has not returned or has called
// Close.
const closeWait = 50 * time.Millisecond

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	var ending []<-chan struct{}
	s.update(func(st *state) { ending = st.close() })
	s.cancel() // ends dials, retry delays, and calls that wait for a cluster; none is a failure now
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

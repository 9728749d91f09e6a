// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"slices"
)

// state is what a Subscription knows. Its methods, and those of what it is made of, are
// called within update.
type state struct {
	sub     *Subscription
	started bool // Start was called: goroutines may run
	closed  bool

	main   *shard   // of all topics that have no server of their own
	shards []*shard // main is the first

	unconfirmed int // topics that have an outage

	changed   chan struct{} // closed, and replaced, when something has changed that a goroutine may wait for
	readiness readiness
	reports   reporter
	health    health
	members   memberCheck

	later []func() // what update is to do when it has unlocked
}

func (st *state) init(s *Subscription) {
	st.sub = s
	st.changed = make(chan struct{})
	st.main = &shard{sub: s}
	st.shards = []*shard{st.main}
}

// after has f called when the lock is not held any more.
func (st *state) after(f func()) { st.later = append(st.later, f) }

// notify wakes the goroutines that wait for a change.
func (st *state) notify() {
	close(st.changed)
	st.changed = make(chan struct{})
}

func (st *state) start() {
	if st.started || st.closed {
		return
	}
	st.started = true
	st.sub.started.Store(true)
	for _, sh := range st.shards {
		sh.start()
	}
	st.health.schedule(st.sub, healthInterval)
}

// close returns what ends soon.
func (st *state) close() (ending []<-chan struct{}) {
	if st.closed {
		return nil
	}
	st.closed = true
	st.health.stop()
	st.notify()
	for _, sh := range st.shards {
		if sh.running {
			ending = append(ending, sh.stopped)
		}
		if sh.conn != nil {
			sh.conn.close(ErrClosed)
			ending = append(ending, sh.conn.released)
		}
	}
	return ending
}

func (st *state) hasTopics() bool {
	return slices.ContainsFunc(st.shards, func(sh *shard) bool { return !sh.idle() })
}

func (st *state) has(k Kind, name string) bool {
	return slices.ContainsFunc(st.shards, func(sh *shard) bool { return sh.topics[k][name] != nil })
}

// setOutage sets why t is not received; nil: it is.
func (st *state) setOutage(t *topic, o *outage) {
	switch {
	case t.outage == nil && o != nil:
		st.unconfirmed++
	case t.outage != nil && o == nil:
		st.unconfirmed--
	}
	t.outage = o
}

// shardOf returns the shard of a placement, which may be new.
func (st *state) shardOf(p placement) *shard {
	if !p.spread {
		return st.main
	}
	for _, sh := range st.shards {
		if sh.spread && sh.client == p.client {
			return sh
		}
	}
	sh := &shard{sub: st.sub, spread: true, client: p.client, unknown: p.err}
	st.shards = append(st.shards, sh)
	st.members.soon()
	return sh
}

// retire removes a shard that has no topics left.
func (st *state) retire(sh *shard) {
	sh.running = false
	st.shards = slices.DeleteFunc(st.shards, func(other *shard) bool { return other == sh })
	if sh.conn != nil {
		sh.conn.close(errRetired)
	}
}

// failed has the Observer count a failure. That a connection ends because it is not
// needed any more is none.
func (st *state) failed(err error) {
	if st.closed || errors.Is(err, ErrClosed) || errors.Is(err, errRetired) {
		return
	}
	st.after(func() { st.sub.observer.Failed(err) })
}

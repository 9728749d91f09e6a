// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"slices"
	"time"
)

// state is the state of a Subscription. Only functions that are called by update may use
// it. The comments of other types and functions say if they are part of the state; the same
// holds for these.
type state struct {
	sub     *Subscription
	started bool // Start was called: goroutines may run
	closed  bool
	// draining is set by Drain: topics are only removed, and no connection is made.
	draining bool
	used     bool            // Subscribe was called
	name     *connectionName // nil: SetName was not called

	main   *shard   // for all topics that are not spread
	shards []*shard // main is the first

	unconfirmed int // the number of topics that have an outage

	changed      chan struct{} // closed, and replaced, at changes that a goroutine may wait for
	readiness    readiness
	reports      [outageKinds]reporter
	finished     bool // finish was called
	health       health
	verification verification

	effects effects
}

// effects is what update does when it has unlocked, because it waits, does I/O, or calls code
// of the user.
type effects struct {
	failures []error         // for Observer.Failed
	wake     []chan struct{} // to be closed
	calls    []func()
}

// run does all of it. Failures come first, so that the Observer has counted a failure when
// Ready returns it.
func (e *effects) run(observer Observer) {
	for _, err := range e.failures {
		observer.Failed(err)
	}
	for _, changed := range e.wake {
		close(changed)
	}
	for _, call := range e.calls {
		call()
	}
}

func (st *state) init(s *Subscription) {
	st.sub = s
	st.changed = make(chan struct{})
	st.main = &shard{sub: s}
	st.shards = []*shard{st.main}
}

// after makes update call f when it has unlocked.
func (st *state) after(f func()) { st.effects.calls = append(st.effects.calls, f) }

// notify wakes the goroutines that wait for a change.
func (st *state) notify() {
	st.effects.wake = append(st.effects.wake, st.changed)
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

// close closes all connections. The channels that it returns are closed when the goroutines
// have ended.
func (st *state) close() (ending []<-chan struct{}) {
	if st.closed {
		return nil
	}
	st.closed = true
	st.health.stop()
	st.stopReports()
	st.notify()
	for _, sh := range st.shards {
		if sh.running {
			ending = append(ending, sh.stopped)
		}
		if sh.conn != nil {
			sh.conn.close(errEnded)
			ending = append(ending, sh.conn.released)
		}
	}
	return ending
}

// clientClosed handles the event that the client was closed: nothing can be received any more.
// It reports that, instead of the outages that it has caused, and closes the Subscription.
func (st *state) clientClosed(err error) {
	if st.closed {
		return
	}
	st.failed(err)
	o := &outage{op: opConnect, err: err, since: time.Now()}
	var in outages
	for _, sh := range st.shards {
		sh.topics.all(func(_ Kind, name string, t *topic) {
			since := o.since
			switch {
			case t.outage != nil:
				since = t.outage.since
			case sh.conn != nil:
				since = sh.conn.evidence.received()
			}
			if since.Before(o.since) {
				o.since = since
			}
			in.add(name, o)
		})
	}
	for kind := range st.reports { // it covers what waits to be reported
		for _, waiting := range []sinces{st.reports[kind].recovered.topics, st.reports[kind].abandoned.topics} {
			if first := waiting.first(); !first.IsZero() && first.Before(o.since) {
				o.since = first
			}
		}
	}
	st.finished = true
	st.emit(o.failure(in[o]))
	st.close()
	st.sub.cancel()
	st.after(st.sub.observer.Closed)
}

// empty reports whether there are no topics.
func (st *state) empty() bool {
	return !slices.ContainsFunc(st.shards, func(sh *shard) bool { return !sh.idle() })
}

func (st *state) has(k Kind, name string) bool {
	return slices.ContainsFunc(st.shards, func(sh *shard) bool { return sh.topics[k][name] != nil })
}

// setOutage sets the outage of t, or ends it if o is nil.
func (st *state) setOutage(t *topic, o *outage) {
	switch {
	case t.outage == nil && o != nil:
		st.unconfirmed++
	case t.outage != nil && o == nil:
		if st.unconfirmed--; st.unconfirmed == 0 {
			st.notify()
		}
	}
	t.outage = o
}

// shardOf returns the shard of a placement. It adds one if there is none.
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
	st.verification.soon()
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

// failed notifies the Observer of a failure. A connection that was closed because it is not
// needed any more has not failed.
func (st *state) failed(err error) {
	if st.closed || errors.Is(err, errEnded) || errors.Is(err, errRetired) {
		return
	}
	st.effects.failures = append(st.effects.failures, err)
}

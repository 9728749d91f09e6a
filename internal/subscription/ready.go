// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"slices"
)

// readiness is what calls of Ready share. It is part of the state.
type readiness struct {
	waiting  int      // the number of calls that wait
	failures int      // the number of failures while calls waited
	last     *Failure // the last of these
}

// Ready waits until the server has confirmed all topics. It returns ErrClosed if the
// Subscription is closed, and a *Failure if an attempt to connect or to subscribe fails. If ctx
// is canceled, it returns an error that wraps ctx.Err(), and the *Failure of the present outage
// if there is one.
//
// A failure that Ready returns is not reported to the Observer, unless it is about topics that
// have been received before: otherwise a health check would hide outages.
func (s *Subscription) Ready(ctx context.Context) error {
	var early *Failure
	s.update(func(st *state) { early = st.takeEarly() })
	if early != nil {
		s.Start() // tries again
		return early
	}
	seen := 0
	s.update(func(st *state) {
		st.readiness.waiting++
		seen = st.readiness.failures
	})
	defer s.update(func(st *state) { st.readiness.waiting-- })
	for {
		var changed <-chan struct{}
		var err error
		s.update(func(st *state) { changed, err = st.ready(seen) })
		if changed == nil {
			return err
		}
		s.Start()
		select {
		case <-changed:
		case <-ctx.Done():
			s.update(func(st *state) { err = st.present(ctx.Err()) })
			return err
		}
	}
}

// present returns err, and the failure of the present outage if there is one. It is part of the
// state, and so are the functions below.
func (st *state) present(err error) error {
	var first *outage
	var names []string
	for _, sh := range st.shards {
		sh.topics.all(func(_ Kind, name string, t *topic) {
			if !t.isDown(ofConnections) && !t.isDown(ofRefusals) {
				return
			}
			names = append(names, name)
			if first == nil || t.outage.since.Before(first.since) {
				first = t.outage
			}
		})
	}
	if first == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, first.failure(names))
}

// ready returns the channel to wait for, or nil and the result of Ready. seen is the number
// of failures before the call.
func (st *state) ready(seen int) (changed <-chan struct{}, err error) {
	switch {
	case st.over():
		return nil, ErrClosed
	case st.unconfirmed == 0:
		return nil, nil
	case st.readiness.failures > seen:
		return nil, st.readiness.last
	}
	return st.changed, nil
}

// takeEarly returns the failure of a connection before Start, but only once.
func (st *state) takeEarly() *Failure {
	if st.over() {
		return nil
	}
	for _, sh := range st.shards {
		if early := sh.early; early != nil {
			sh.early = nil
			return early.failure(sh.topics.names())
		}
	}
	return nil
}

// report reports a failure: to the calls of Ready that wait, and to the Observer if none does, or
// topics have been received before.
func (st *state) report(o *outage, names []string) {
	if st.readiness.waiting == 0 || slices.ContainsFunc(names, st.wasReceived) {
		st.reportFailure(o, names)
	}
	if st.readiness.waiting == 0 {
		return
	}
	st.readiness.failures++
	st.readiness.last = o.failure(names)
	st.notify()
}

// wasReceived reports whether a topic has been received before.
func (st *state) wasReceived(name string) bool {
	return slices.ContainsFunc(st.shards, func(sh *shard) bool {
		for k := range kinds {
			if t := sh.topics[k][name]; t != nil && t.received {
				return true
			}
		}
		return false
	})
}

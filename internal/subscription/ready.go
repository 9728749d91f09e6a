// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import "context"

// readiness is about the calls of Ready. It is part of the state.
type readiness struct {
	waiting  int // calls that wait
	failures int // that happened while calls waited
	last     *Failure
}

// Ready waits until the server has confirmed all topics. It returns ctx.Err() when ctx is
// canceled, ErrClosed when the Subscription is closed, and a *Failure when an attempt
// fails. A failure that Ready returns is not reported to the Observer.
func (s *Subscription) Ready(ctx context.Context) error {
	var early *Failure
	s.update(func(st *state) { early = st.takeEarly() })
	if early != nil {
		s.Start() // which tries again
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
			return ctx.Err()
		}
	}
}

// ready returns what to wait for, or nil and the result of Ready.
func (st *state) ready(seen int) (changed <-chan struct{}, err error) {
	switch {
	case st.closed:
		return nil, ErrClosed
	case st.unconfirmed == 0:
		return nil, nil
	case st.readiness.failures > seen:
		return nil, st.readiness.last
	}
	return st.changed, nil
}

// takeEarly returns an attempt that failed before Start, once.
func (st *state) takeEarly() *Failure {
	if st.closed {
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

// report gives a failure to the calls of Ready that wait, or else to the Observer.
func (st *state) report(o *outage, names []string) {
	if st.readiness.waiting == 0 {
		st.reports.failed(st, o, names)
		return
	}
	st.readiness.failures++
	st.readiness.last = o.failure(names)
	st.notify()
}

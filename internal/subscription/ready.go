// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import "context"

// readiness is what calls of Ready share. It is part of the state.
type readiness struct {
	waiting  int      // the number of calls that wait
	failures int      // the number of failures while calls waited
	last     *Failure // the last of these
}

// Ready waits until the server has confirmed all topics. It returns ctx.Err() if ctx is
// canceled, ErrClosed if the Subscription is closed, and a *Failure if an attempt to connect
// or to subscribe fails. A failure that Ready returns is not reported to the Observer.
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
			return ctx.Err()
		}
	}
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

// report reports a failure: to the calls of Ready that wait, or to the Observer if none does.
func (st *state) report(o *outage, names []string) {
	if st.readiness.waiting == 0 {
		st.reportFailure(o, names)
		return
	}
	st.readiness.failures++
	st.readiness.last = o.failure(names)
	st.notify()
}

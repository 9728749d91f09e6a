// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"slices"
	"time"
)

// A server may answer PINGs and get no messages: publishers use another one, because it was
// replaced, or because the others cannot reach it. So the servers in use are verified. Until
// when a server was certainly the right one is part of the evidence.

// endpoint is a server to connect to. Two endpoints are equal if they are the same server.
type endpoint struct {
	client Subscriber
	id     string // if the client may connect to different servers, which one it is
}

// use is a connection to an endpoint, of the main shard or a spread shard.
type use struct {
	endpoint
	conn       *connection
	spread     bool
	topic      string // one that the endpoint owns and that is subscribed to there; may be empty
	everywhere bool   // there are topics that belong on all servers, and all of them are subscribed to there
}

// verdict says whether an endpoint is the right one for its topics.
type verdict int

const (
	unknown verdict = iota
	right
	wrong
)

// finding is a verdict, and how old the knowledge is from which it follows.
type finding struct {
	verdict
	age time.Duration
}

// verifier is implemented by topologies whose servers may be replaced.
type verifier interface {
	// verify returns the verdicts about endpoints in use. It may wait for servers.
	verify(ctx context.Context, uses []use) map[use]finding
	// hint reports whether something has changed, so that verify should be called early. It
	// does no I/O.
	hint() bool
}

const (
	// verifyInterval is the interval of verify.
	verifyInterval = 10 * time.Second
	// verifyTimeout is how long servers may take to answer it.
	verifyTimeout = 2 * time.Second
)

// verification schedules verify. It is part of the state.
type verification struct {
	running  bool      // verify runs
	hinted   bool      // there was a hint since it began
	due      time.Time // when the next one is due
	failures int       // how many have not settled everything, one after the other
}

// soon makes the next verification due, because a server has come into use. One that runs may
// not see that server yet.
func (v *verification) soon() { v.due = time.Time{} }

// verify verifies the servers in use if that is due.
func (s *Subscription) verify() {
	v, ok := s.topology.(verifier)
	if !ok {
		return
	}
	hint := v.hint()
	var uses []use
	began := time.Now()
	s.update(func(st *state) {
		v := &st.verification
		v.hinted = v.hinted || hint
		if st.closed || v.running || !v.hinted && began.Before(v.due) {
			return
		}
		if uses = st.uses(); len(uses) > 0 {
			v.running, v.hinted, v.due = true, false, began.Add(verifyInterval)
		}
	})
	if len(uses) == 0 {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(s.ctx, verifyTimeout)
		defer cancel()
		verdicts := askSafely(ctx, v, uses)
		s.update(func(st *state) {
			st.verification.end(began, settled(uses, verdicts))
			st.judge(verdicts, began)
		})
	}()
}

// askSafely calls verify. It recovers from a panic of functions that the client was given.
func askSafely(ctx context.Context, v verifier, uses []use) (verdicts map[use]finding) {
	defer func() {
		if recover() != nil {
			verdicts = nil
		}
	}()
	return v.verify(ctx, uses)
}

// settled reports whether there is a verdict about each endpoint in use, and from what was known
// just then.
func settled(uses []use, verdicts map[use]finding) bool {
	return !slices.ContainsFunc(uses, func(u use) bool {
		found := verdicts[u]
		return found.verdict == unknown || found.age > verifyTimeout
	})
}

// end notes that verify has returned. If it has not settled everything, the next one is due soon,
// and later each time.
func (v *verification) end(began time.Time, found bool) {
	v.running = false
	if found {
		v.failures = 0
		return
	}
	v.due = began.Add(min(time.Second<<min(v.failures, 4), verifyInterval))
	v.failures++
}

// uses returns the connections in use. It is part of the state, and so are the functions below.
func (st *state) uses() (uses []use) {
	everywhere := st.everywhere()
	for _, sh := range st.shards {
		if sh.conn != nil && sh.conn.isUp() && !sh.conn.isClosed() {
			uses = append(uses, sh.use(everywhere))
		}
	}
	return uses
}

// everywhere returns the number of topics that belong on all servers.
func (st *state) everywhere() int {
	var all topics
	for _, sh := range st.shards {
		sh.topics.all(func(k Kind, name string, t *topic) {
			if st.sub.topology.reach(k, name)&onAll != 0 {
				all.set(k, name, t)
			}
		})
	}
	return len(all.names())
}

// use returns the connection, and the first topic that its endpoint owns. everywhere is the number
// of topics that belong on all servers.
func (sh *shard) use(everywhere int) use {
	u := use{endpoint: sh.conn.endpoint, conn: sh.conn, spread: sh.spread}
	if !sh.spread {
		return u
	}
	here := 0
	sh.topics.all(func(k Kind, name string, _ *topic) {
		switch {
		case sh.sub.topology.reach(k, name)&onAll != 0:
			here++
		case u.topic == "" || name < u.topic:
			u.topic = name
		}
	})
	u.everywhere = everywhere > 0 && here == everywhere
	return u
}

// judge closes the connection of the main shard if its server is wrong, and makes the topics of
// other shards stale. The verdicts are those of a verification that began then.
func (st *state) judge(verdicts map[use]finding, began time.Time) {
	for u, found := range verdicts {
		i := slices.IndexFunc(st.shards, func(sh *shard) bool { return sh.conn == u.conn })
		if i < 0 {
			continue // it was lost in the meantime
		}
		sh := st.shards[i]
		switch verdict := found.verdict; {
		case verdict == right:
			sh.conn.evidence.lastRight = latest(sh.conn.evidence.lastRight, began.Add(-found.age))
			sh.placing.suspected = false
		case verdict == wrong && sh.spread:
			sh.placing.suspected = true
			st.health.retrySoon(st.sub)
		case verdict == wrong:
			sh.conn.close(ErrMoved)
			st.health.retrySoon(st.sub)
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"time"
)

// What the package finds out by itself.
var (
	// ErrSilent is the cause of an outage in which the server did not answer.
	ErrSilent = errors.New("the server has not answered for too long")
	// ErrMoved is the cause of an outage in which another server has become the owner.
	ErrMoved = errors.New("another server has taken over")

	// ErrRemoved is the cause of an outage in which the server was taken out of its
	// cluster.
	ErrRemoved = errors.New("the server is no part of the cluster any more")

	errNoTopic = errors.New("a Ring needs a channel or pattern to find its shard by")
	errRetired = errors.New("nothing left to subscribe to")
)

const (
	opConnect = "connect"
	opReceive = "receive"
)

// outage is why topics are not received, and since when. Topics that are affected by the
// same event share it.
type outage struct {
	op    string // what failed; "": nothing, the server just has not confirmed them yet
	err   error
	since time.Time // all that was published until then was received
}

// cover makes o the outage of t, if that has none but for not being confirmed yet. o
// then reaches back to when t was last received.
func (o *outage) cover(st *state, t *topic) {
	if t.outage.since.Before(o.since) {
		o.since = t.outage.since
	}
	if t.outage.op == "" {
		st.setOutage(t, o)
	}
}

// outages are names of topics by their outage.
type outages map[*outage][]string

// add adds a topic.
func (in *outages) add(name string, o *outage) {
	if *in == nil {
		*in = make(outages)
	}
	(*in)[o] = append((*in)[o], name)
}

// addLost adds a topic that is not needed any more, if its connection was lost.
func (in *outages) addLost(name string, t *topic) {
	if t.outage != nil && t.outage.op == opReceive && !errors.Is(t.outage.err, ErrClosed) {
		in.add(name, t.outage)
	}
}

// disconnected notes that conn is lost. Topics that were received are in an outage from
// now on, which is reported when it is over. For the others an attempt has failed, which
// is reported now.
func (sh *shard) disconnected(conn *connection, err error) {
	st := sh.state()
	st.failed(err)
	sh.dropConnection()
	sh.lost = true
	since := conn.evidence.received()
	if errors.Is(err, ErrRemoved) {
		since = conn.evidence.receivedAsMember(conn.messages.Load())
	}
	if !sh.spread && (errors.Is(err, ErrRemoved) || errors.Is(err, ErrSilent)) {
		sh.sub.topology.leave()
	}
	lost := &outage{op: opReceive, err: err, since: since}
	failed := &outage{op: opReceive, err: err, since: since}
	var again []string
	sh.topics.all(func(_ Kind, name string, t *topic) {
		if t.outage == nil {
			st.setOutage(t, lost)
			return
		}
		failed.cover(st, t)
		again = append(again, name)
	})
	// Some topics were received for a moment, which has not been reported.
	st.reportRecovered(conn.recovered)
	conn.recovered = nil
	st.notify()
	if len(again) > 0 && !st.closed {
		st.report(failed, again)
	}
}

// unreachable notes, and reports, that no connection could be made.
func (sh *shard) unreachable(op string, err error) {
	st := sh.state()
	if st.closed {
		return
	}
	if !sh.spread {
		sh.sub.topology.leave()
	}
	if cluster := sh.sub.topology.cluster(); cluster != nil {
		cluster.reload(sh.sub.ctx)
	}
	o := &outage{op: op, err: err, since: time.Now()}
	sh.topics.all(func(_ Kind, _ string, t *topic) {
		o.cover(st, t)
	})
	st.report(o, sh.topics.names())
}

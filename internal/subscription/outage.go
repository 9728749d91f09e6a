// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"net"
	"time"
)

// The causes of failures that no server and no connection reports.
var (
	// ErrSilent means that the server has not answered for too long.
	ErrSilent = errors.New("the server has not answered for too long")
	// ErrMoved means that another server gets the messages of a topic.
	ErrMoved = errors.New("another server has taken over")

	// ErrBlocked means that go-redis did not return from a call.
	ErrBlocked = errors.New("the connection is lost, or the server reads nothing: go-redis dials again, or a write does not end")
	// ErrConnectTimeout means that an attempt to connect took too long.
	ErrConnectTimeout = errors.New("no connection in time: the Dialer, OnConnect or the credentials provider has not returned")

	errNoTopic = errors.New("a Ring needs a channel or pattern to choose the shard")
	errEnded   = errors.New("the subscription is closed")
	errRetired = errors.New("nothing left to subscribe to")

	errAbandoned = errors.New("another goroutine reads for the shard")
)

const (
	opConnect = "connect"
	opReceive = "receive"
)

// outage is a time in which topics are not received, and its cause. Topics that the same
// event affects share one. It is part of the state.
type outage struct {
	op    string // the operation that failed; "": none, the topics are not confirmed yet
	err   error
	since time.Time // all messages until then were received

	refused bool // the server has refused the topic
}

// cover extends o to the time in which t has not been received. If nothing has failed for t
// so far, or the server has refused it, o becomes its outage.
func (o *outage) cover(st *state, t *topic) {
	if t.outage.since.Before(o.since) {
		o.since = t.outage.since
	}
	if t.outage.op == "" || t.outage.refused {
		st.setOutage(t, o)
	}
}

// outages holds the names of topics by their outage. It is part of the state.
type outages map[*outage][]string

// add adds a topic.
func (in *outages) add(name string, o *outage) {
	if *in == nil {
		*in = make(outages)
	}
	(*in)[o] = append((*in)[o], name)
}

// addLost adds a topic if its connection was lost and it has not recovered.
func (in *outages) addLost(name string, t *topic) {
	if t.outage != nil && t.outage.op == opReceive && !errors.Is(t.outage.err, errEnded) {
		in.add(name, t.outage)
	}
}

// disconnected handles the event that conn is lost. For the topics that were received, an
// outage begins, which is reported when it is over or an attempt to end it fails. For the
// other topics, this is a failed attempt, and it is reported now. It changes nothing for those
// that the server refuses.
func (sh *shard) disconnected(conn *connection, err error) {
	st := sh.state()
	st.failed(err)
	sh.dropConnection()
	sh.lost = true
	since := conn.evidence.received()
	if !sh.spread && (errors.Is(err, ErrMoved) || errors.Is(err, ErrSilent)) {
		sh.sub.topology.leave()
	}
	// Two outages, since they are reported apart: one when it is over, the other now. The
	// topics of the second may have been in an outage for longer.
	lost := &outage{op: opReceive, err: err, since: since}
	failed := &outage{op: opReceive, err: err, since: since}
	var again []string
	sh.topics.all(func(_ Kind, name string, t *topic) {
		if t.outage == nil {
			st.reopen(name, lost)
			st.setOutage(t, lost)
			return
		}
		if !t.outage.refused {
			failed.cover(st, t)
			again = append(again, name)
		}
	})
	// Topics that have recovered on conn, which was not reported yet.
	st.reportRecovered(conn.recovered)
	conn.recovered = nil
	st.notify()
	// If go-redis has closed the connection itself, the client is closed, or that of a node.
	// The next attempt to connect says which.
	if len(again) > 0 && !st.closed && !errors.Is(err, errEnded) && !errors.Is(err, net.ErrClosed) {
		st.report(failed, again)
	}
}

// reportLost reports the outages of topics whose connection was lost.
func (sh *shard) reportLost() {
	var in outages
	sh.topics.all(func(_ Kind, name string, t *topic) { in.addLost(name, t) })
	for o, names := range in {
		sh.state().report(o, names)
	}
}

// unreachable handles the event that no connection could be made, and reports it.
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

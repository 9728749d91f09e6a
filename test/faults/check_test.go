// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

const (
	// tolerance is how far apart two goroutines of the test may note the same moment.
	tolerance = 100 * time.Millisecond
	// signOfLife is how old the last message or reply may be while messages flow: a second.
	// A downtime is counted from there.
	signOfLife = time.Second + sharedMachine
	// reportDelay is how late a report may be: the same failure is reported at most once
	// a second.
	reportDelay = time.Second
	// busDelay is how long a message may take from one node of a cluster to another.
	busDelay = time.Second / 2
)

// check compares what the row has received and reported with the reference.
func (r *row) check(t *testing.T, s *scene) {
	got, reference, reports := r.received.all(), s.reference.all(), r.reports.All()
	if n := len(r.received.strange) + len(s.reference.strange); n > 0 {
		t.Errorf("%d payloads are not of the publisher", n)
	}
	r.assertOnceInOrder(t, s, got)
	r.assertReturned(t, s, got)
	r.assertAccounted(t, s, got, reference, reports)
	r.deliveries.check(t)
	for _, channel := range r.channels(s) {
		r.assertReported(t, s, channel, reports)
		if s.reach > signOfLife {
			r.assertDowntime(t, s, channel, reports)
		}
	}
	if other := r.reports.Others(); len(other) > 0 {
		t.Errorf("the error handler got errors that are no SubscriptionError: %v", other)
	}
	if started, ended := r.spans.started.Load(), r.spans.ended.Load(); started != ended || int(ended) != len(got) {
		t.Errorf("%d spans started, %d ended, of %d messages", started, ended, len(got))
	}
	if started, ended := s.publisher.spans.started.Load(), s.publisher.spans.ended.Load(); started != ended {
		t.Errorf("the publisher started %d spans, and ended %d", started, ended)
	}
	if t.Failed() {
		t.Logf("reported: %v", tracetest.Texts(reports))
	}
}

// assertOnceInOrder asserts that the numbers of each channel grow.
//
// A cluster sends a message that is not sharded through all its nodes, at the pace of
// each. A subscription that moves from one node to another may receive it there again,
// and Redis gives it no means to detect that. A master sends a sharded message to its replicas
// in the same way, so a subscription that stays with the shard in a failover may, too.
func (r *row) assertOnceInOrder(t *testing.T, s *scene, got []arrival) {
	t.Helper()
	last := make(map[string]arrival)
	for _, a := range got {
		if before, ok := last[a.channel]; ok && a.seq <= before.seq {
			several := s.cluster != nil && (!r.kind.sharded || s.fault.does(s, r, a.channel) == either)
			if several && a.sent.After(s.began.Add(-busDelay)) && a.at.Sub(a.sent) < busDelay {
				t.Logf("%s: number %d was received again from another node, %v after it was sent", a.channel, a.seq, a.at.Sub(a.sent))
				continue
			}
			t.Errorf("%s: number %d, of %v, was received at %v after number %d, of %v, at %v", a.channel,
				a.seq, clock(a.sent), clock(a.at), before.seq, clock(before.sent), clock(before.at))
			return
		}
		last[a.channel] = a
	}
}

// assertReturned asserts that messages are received again in time after the fault.
func (r *row) assertReturned(t *testing.T, s *scene, got []arrival) {
	t.Helper()
	limit := s.fault.within + sharedMachine
	var returned time.Duration
	for _, channel := range r.channels(s) {
		i := slices.IndexFunc(got, func(a arrival) bool { return a.channel == channel && a.sent.After(s.healed) })
		if i < 0 {
			t.Errorf("%s: nothing was received after the fault", channel)
			continue
		}
		after := got[i].at.Sub(s.healed)
		returned = max(returned, after)
		if after > limit {
			t.Errorf("%s: messages were received again after %v, want %v, and %v for a shared machine",
				channel, after, s.fault.within, sharedMachine)
		}
	}
	t.Logf("all channels received messages %v after the fault", returned.Round(time.Millisecond))
}

// number is the number of a message on a channel.
type number struct {
	channel string
	seq     int
}

func numbers(arrivals []arrival) map[number]bool {
	has := make(map[number]bool, len(arrivals))
	for _, a := range arrivals {
		has[number{a.channel, a.seq}] = true
	}
	return has
}

// assertAccounted asserts that each message that the reference has received and the row
// has not was published within a downtime that the row reported.
func (r *row) assertAccounted(t *testing.T, s *scene, got, reference []arrival, reports []tracetest.Report) {
	t.Helper()
	has := numbers(got)
	lost, unaccounted := 0, 0
	for _, a := range reference {
		if has[number{a.channel, a.seq}] || !slices.Contains(r.channels(s), a.channel) {
			continue
		}
		lost++
		if covered(reports, r.kind.reported(a.channel), a.sent, a.at) {
			continue
		}
		if unaccounted++; unaccounted <= 3 {
			t.Errorf("%s: number %d is lost, which was published at %v and which the reference received at %v: "+
				"it is in no reported downtime", a.channel, a.seq, clock(a.sent), clock(a.at))
		}
	}
	if unaccounted > 0 {
		t.Errorf("of %d messages that were lost, %d are not accounted for; the fault was from %v until %v",
			lost, unaccounted, clock(s.began), clock(s.healed))
		for _, e := range reports {
			t.Logf("%v: %v, from %v", clock(e.At), e, clock(e.At.Add(-e.Downtime)))
		}
	}
	t.Logf("%d received, %d lost, %d reports", len(got), lost, len(reports))
}

// covered reports whether the downtime of a report about topic includes the time of what
// was lost, from first to last. A report may only be late if it follows another one.
func covered(reports []tracetest.Report, topic string, last, first time.Time) bool {
	for i, e := range reports {
		from, to := e.At.Add(-e.Downtime-tolerance), e.At.Add(tolerance)
		if slices.ContainsFunc(reports[:i], func(before tracetest.Report) bool {
			return before.Op == e.Op && e.At.Sub(before.At) < reportDelay+sharedMachine
		}) {
			from = from.Add(-reportDelay)
		}
		if e.Downtime > 0 && slices.Contains(e.Channels, topic) && last.Before(to) && first.After(from) {
			return true
		}
	}
	return false
}

// assertReported asserts that the reports about a channel agree with what the fault did
// to it.
func (r *row) assertReported(t *testing.T, s *scene, channel string, reports []tracetest.Report) {
	t.Helper()
	topic := r.kind.reported(channel)
	about := slices.DeleteFunc(slices.Clone(reports), func(e tracetest.Report) bool { return !slices.Contains(e.Channels, topic) })
	outage := slices.ContainsFunc(about, func(e tracetest.Report) bool { return e.Downtime > 0 })
	switch want := s.fault.does(s, r, channel); {
	case want == severed && !outage:
		t.Errorf("%s: the row was disconnected, and no report has the downtime; got %v", topic, tracetest.Texts(about))
	case want == spared && len(about) > 0:
		t.Errorf("%s: the row was not disconnected, but reported was %v", topic, tracetest.Texts(about))
	}
	for _, e := range about {
		if from := e.At.Add(-e.Downtime); from.Before(s.began.Add(-s.reach)) {
			t.Errorf("%s: the downtime begins at %v, but messages were received until %v: %v", topic, clock(from), clock(s.began), e)
		}
	}
}

// assertDowntime asserts that the downtime of the reports about a channel is not much longer
// than the time in which nothing was received.
func (r *row) assertDowntime(t *testing.T, s *scene, channel string, reports []tracetest.Report) {
	t.Helper()
	from, to := r.gap(s, channel)
	for _, e := range reports {
		if !slices.Contains(e.Channels, r.kind.reported(channel)) || e.Downtime == 0 {
			continue
		}
		if limit := to.Sub(from) + s.reach + reportDelay + sharedMachine; e.Downtime > limit {
			t.Errorf("%s: the gap is from %v until %v, so the downtime should be %v at most: %v", channel, clock(from), clock(to), limit, e)
		}
		if begins := e.At.Add(-e.Downtime); begins.Before(from.Add(-s.reach - tolerance)) {
			t.Errorf("%s: the gap is from %v until %v, but the downtime begins at %v: %v", channel, clock(from), clock(to), clock(begins), e)
		}
	}
}

// gap returns when the last message of a channel before the first loss was published, and when
// the first one after the last loss was received. If no message was lost, it returns the time of
// the fault.
func (r *row) gap(s *scene, channel string) (from, to time.Time) {
	got := r.received.all()
	has, first, last := numbers(got), 0, 0
	for _, a := range s.reference.all() {
		if a.channel == channel && !has[number{channel, a.seq}] {
			last = max(last, a.seq)
			if first == 0 || a.seq < first {
				first = a.seq
			}
		}
	}
	from, to = s.began, s.healed.Add(s.fault.within)
	if last == 0 {
		return from, to
	}
	for _, a := range got {
		switch {
		case a.channel != channel:
		case a.seq < first:
			from = a.sent
		case a.seq > last:
			return from, a.at
		}
	}
	return from, to
}

func clock(at time.Time) string { return at.Format("05.000") }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

const (
	// Two goroutines of the test note the same moment up to this far apart.
	tolerance = 100 * time.Millisecond
	// A report counts from the last sign of life. Where messages flow it is no
	// older than this: a second, and another one for a shared machine.
	signOfLife = time.Second + sharing
	// The same trouble is reported at most once a second, so that a report may be
	// this late.
	reportDelay = time.Second
	// busDelay is how long a message may take from one node of a cluster to another
	// on a busy machine.
	busDelay = time.Second / 2
)

// check checks what the row has received and reported against the reference.
func (r *row) check(t *testing.T, s *scene) {
	got, reference, reports := r.heard.all(), s.reference.all(), r.reports.All()
	if n := len(r.heard.strange) + len(s.reference.strange); n > 0 {
		t.Errorf("%d payloads are none of the publisher's", n)
	}
	r.assertOnceInOrder(t, s, got)
	r.assertReturned(t, s, got)
	r.assertAccounted(t, s, got, reference, reports)
	for _, channel := range r.channels(s) {
		r.assertReported(t, s, channel, reports)
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
// A message that no shard owns goes through all nodes of a cluster, at the pace
// of each. Who is cut off from one and goes to another may meet it there again;
// Redis gives it nothing to know it by.
func (r *row) assertOnceInOrder(t *testing.T, s *scene, got []arrival) {
	t.Helper()
	last := make(map[string]arrival)
	for _, a := range got {
		if before, ok := last[a.channel]; ok && a.seq <= before.seq {
			if s.cluster != nil && !r.kind.sharded && a.sent.After(s.began.Add(-busDelay)) && a.at.Sub(a.sent) < busDelay {
				t.Logf("%s: number %d came again from another node, %v after it was sent", a.channel, a.seq, a.at.Sub(a.sent))
				continue
			}
			t.Errorf("%s: number %d, of %v, came at %v after number %d, of %v, at %v", a.channel,
				a.seq, clock(a.sent), clock(a.at), before.seq, clock(before.sent), clock(before.at))
			return
		}
		last[a.channel] = a
	}
}

// assertReturned asserts that messages came again in time.
func (r *row) assertReturned(t *testing.T, s *scene, got []arrival) {
	t.Helper()
	limit := s.fault.within + sharing
	var returned time.Duration
	for _, channel := range r.channels(s) {
		i := slices.IndexFunc(got, func(a arrival) bool { return a.channel == channel && a.sent.After(s.healed) })
		if i < 0 {
			t.Errorf("%s: nothing arrived after the fault", channel)
			continue
		}
		after := got[i].at.Sub(s.healed)
		returned = max(returned, after)
		if after > limit {
			t.Errorf("%s: messages arrived again after %v, want %v, and %v for a shared machine",
				channel, after, s.fault.within, sharing)
		}
	}
	t.Logf("all channels heard %v after the fault was over", returned.Round(time.Millisecond))
}

// assertAccounted asserts that whatever the reference has received and the row
// has not was published while the row was reported as deaf.
func (r *row) assertAccounted(t *testing.T, s *scene, got, reference []arrival, reports []tracetest.Report) {
	t.Helper()
	type number struct {
		channel string
		seq     int
	}
	has := make(map[number]bool, len(got))
	for _, a := range got {
		has[number{a.channel, a.seq}] = true
	}
	lost, unaccounted := 0, 0
	for _, a := range reference {
		if has[number{a.channel, a.seq}] || !slices.Contains(r.channels(s), a.channel) {
			continue
		}
		lost++
		if excused(reports, r.kind.reported(a.channel), a.sent, a.at) {
			continue
		}
		if unaccounted++; unaccounted <= 3 {
			t.Errorf("%s: number %d is lost, which was published at %v and which the reference got at %v: "+
				"no report says that nothing was heard then", a.channel, a.seq, clock(a.sent), clock(a.at))
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

// excused says whether a report is about name and about a time, from what was
// lost last to what was lost first. To be late itself, it must follow on another.
func excused(reports []tracetest.Report, name string, last, first time.Time) bool {
	for i, e := range reports {
		from, to := e.At.Add(-e.Downtime-tolerance), e.At.Add(tolerance)
		if slices.ContainsFunc(reports[:i], func(before tracetest.Report) bool {
			return before.Op == e.Op && e.At.Sub(before.At) < reportDelay+sharing
		}) {
			from = from.Add(-reportDelay)
		}
		if e.Downtime > 0 && slices.Contains(e.Channels, name) && last.Before(to) && first.After(from) {
			return true
		}
	}
	return false
}

// assertReported asserts that what happened to a channel was reported, and that
// nothing was which has not happened.
func (r *row) assertReported(t *testing.T, s *scene, channel string, reports []tracetest.Report) {
	t.Helper()
	name := r.kind.reported(channel)
	about := slices.DeleteFunc(slices.Clone(reports), func(e tracetest.Report) bool { return !slices.Contains(e.Channels, name) })
	deaf := slices.ContainsFunc(about, func(e tracetest.Report) bool { return e.Downtime > 0 })
	switch want := s.fault.does(s, r, channel); {
	case want == severed && !deaf:
		t.Errorf("%s: the row was cut off, and no report tells for how long; got %v", name, tracetest.Texts(about))
	case want == spared && len(about) > 0:
		t.Errorf("%s: the row was not cut off, but reported was %v", name, tracetest.Texts(about))
	}
	for _, e := range about {
		if from := e.At.Add(-e.Downtime); from.Before(s.began.Add(-signOfLife)) {
			t.Errorf("%s: reported as deaf from %v, but messages came until %v: %v", name, clock(from), clock(s.began), e)
		}
	}
}

func clock(at time.Time) string { return at.Format("05.000") }

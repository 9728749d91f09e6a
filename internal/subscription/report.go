// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// The kinds of outages, which are reported apart: a topic that the server refuses may be so
// for ever, while the connection is lost and comes back.
const (
	ofConnections = iota
	ofRefusals
	outageKinds
)

func (o *outage) kind() int {
	if o.refused {
		return ofRefusals
	}
	return ofConnections
}

// The shortest and the longest time between two reports of an outage that lasts. It doubles
// with each report. The shortest is also that between two reports of recoveries.
const (
	shortestInterval = time.Second
	longestInterval  = time.Minute
)

// reporter decides when the outages of one kind are reported. It is part of the state.
//
// An outage is reported when an attempt to end it has failed, then at growing intervals, and
// once when it is over. What happens shortly after a report is in the next one.
type reporter struct {
	timer *time.Timer

	failed   int             // the number of failures since the last report
	last     outage          // of the last failure
	reported map[string]bool // the topics that a report of the present outage has named
	fresh    bool            // a topic has failed that is not among them
	bare     bool            // there was a failure without topics
	at       time.Time       // when the last report of a failure was
	interval time.Duration   // until the next one

	recovered ending // outages that are over
	abandoned ending // outages of topics that are not needed any more
}

// ending collects outages that end, until they are reported.
type ending struct {
	topics sinces
	first  outage    // the one that began first
	since  time.Time // when the first of them ended
	at     time.Time // when the last report was
}

func (e *ending) add(in outages) {
	for o, names := range in {
		if len(e.topics) == 0 {
			e.since = time.Now()
		}
		if len(e.topics) == 0 || o.since.Before(e.first.since) {
			e.first = *o
		}
		e.topics = e.topics.with(names, o.since)
	}
}

// report returns the report of what was collected.
func (e *ending) report(now time.Time, count int) *Failure {
	f := e.first.report(e.topics, count)
	e.topics, e.at = nil, now
	return f
}

// reportFailure reports that an attempt to end the outage of topics has failed.
func (st *state) reportFailure(o *outage, names []string) {
	r := &st.reports[o.kind()]
	r.failed++
	r.last = *o // a copy, since o may be extended later
	r.bare = len(names) == 0
	r.fresh = r.fresh || slices.ContainsFunc(names, func(name string) bool { return !r.reported[name] })
	st.reportDue(o.kind())
}

// reportAbandoned reports outages of topics that are not needed any more.
func (st *state) reportAbandoned(in outages) {
	for kind := range outageKinds {
		st.reports[kind].abandoned.add(in.of(kind))
		st.reportDue(kind)
	}
}

// reportRecovered reports outages that are over.
func (st *state) reportRecovered(in outages) {
	for kind := range outageKinds {
		st.reports[kind].recovered.add(in.of(kind))
		st.reportDue(kind)
	}
}

// of returns the outages of a kind.
func (in outages) of(kind int) outages {
	of := maps.Clone(in)
	maps.DeleteFunc(of, func(o *outage, _ []string) bool { return o.kind() != kind })
	return of
}

// reopen extends o to the outage of a topic that has just recovered, if that is not reported
// yet: it is the same outage then.
func (st *state) reopen(name string, o *outage) {
	for kind := range st.reports {
		recovered := st.reports[kind].recovered.topics
		if since, ok := recovered[name]; ok {
			delete(recovered, name)
			if since.Before(o.since) {
				o.since = since
			}
		}
	}
}

// isDown reports whether t has an outage of a kind. A topic that is not confirmed yet, and has
// not failed, has none.
func (t *topic) isDown(kind int) bool {
	o := t.outage
	return o != nil && o.op != "" && o.kind() == kind && !errors.Is(o.err, errEnded)
}

// down returns the topics that have an outage of a kind.
func (st *state) down(kind int) (down sinces) {
	for _, sh := range st.shards {
		sh.topics.all(func(_ Kind, name string, t *topic) {
			if t.isDown(kind) {
				down = down.with([]string{name}, t.outage.since)
			}
		})
	}
	return down
}

// reportDue emits the reports of a kind that are due, and sets the timer for the others.
func (st *state) reportDue(kind int) {
	r := &st.reports[kind]
	if st.finished || r.idle() {
		return
	}
	now, down := time.Now(), st.down(kind)
	if len(down) == 0 {
		r.reported, r.interval = nil, 0
	}
	next := longestInterval
	due := func(at time.Time) bool {
		if wait := at.Sub(now); wait > 0 {
			next = min(next, wait)
			return false
		}
		return true
	}
	if len(r.abandoned.topics) > 0 && due(r.abandoned.at.Add(shortestInterval)) {
		st.emit(r.abandoned.report(now, 1))
	}
	if len(r.recovered.topics) > 0 && due(r.recoveryDue(len(down) == 0)) {
		st.emitRecovery(r, now, len(down) == 0)
	}
	switch nothing := len(down) == 0 && !r.bare; {
	case nothing && len(r.recovered.topics) == 0:
		r.failed, r.fresh = 0, false
	case !nothing && r.failed > 0 && due(r.failureDue()):
		st.emitFailure(r, now, down)
	}
	r.schedule(st, kind, next)
}

// idle reports whether nothing waits to be reported.
func (r *reporter) idle() bool {
	return r.failed == 0 && len(r.recovered.topics) == 0 && len(r.abandoned.topics) == 0
}

// recoveryDue returns when recoveries are to be reported. While some topics are still down, the
// report waits for them, but not long.
func (r *reporter) recoveryDue(all bool) time.Time {
	due := r.recovered.at.Add(shortestInterval)
	if !all {
		due = latest(due, r.recovered.since.Add(shortestInterval))
	}
	return due
}

// emitRecovery reports recoveries. If all topics have recovered, that is also the report of the
// last failures.
func (st *state) emitRecovery(r *reporter, now time.Time, all bool) {
	count := 1 // the loss
	if all {
		if count += r.failed; r.recovered.first.refused { // each refusal is a failure
			count = max(1, r.failed)
		}
		r.failed, r.fresh = 0, false
	}
	f := r.recovered.report(now, count)
	f.Recovered = true
	st.emit(f)
}

// failureDue returns when failures are to be reported.
func (r *reporter) failureDue() time.Time {
	if r.fresh {
		return r.at.Add(shortestInterval)
	}
	return r.at.Add(max(r.interval, shortestInterval))
}

// emitFailure reports that topics are still down.
func (st *state) emitFailure(r *reporter, now time.Time, down sinces) {
	st.emit(r.last.report(down, r.failed))
	if r.reported == nil {
		r.reported = make(map[string]bool, len(down))
	}
	for name := range down {
		r.reported[name] = true
	}
	r.failed, r.fresh, r.bare, r.at = 0, false, false, now
	r.interval = min(max(2*r.interval, shortestInterval), longestInterval)
}

// schedule sets the timer, if something waits to be reported.
func (r *reporter) schedule(st *state, kind int, wait time.Duration) {
	switch {
	case r.idle():
	case r.timer == nil:
		r.timer = time.AfterFunc(wait, func() {
			st.sub.update(func(st *state) { st.reportDue(kind) })
		})
	default:
		r.timer.Reset(wait)
	}
}

// finish reports what waits to be reported when the Subscription is closed, and the outages
// that have not ended. It reports nothing if it is called again.
func (st *state) finish() {
	if st.finished {
		return
	}
	st.finished = true
	now := time.Now()
	for kind := range st.reports {
		r := &st.reports[kind]
		var lost outages
		for _, sh := range st.shards {
			sh.topics.all(func(_ Kind, name string, t *topic) {
				if t.isDown(kind) && (r.failed > 0 || t.outage.op == opReceive) {
					lost.add(name, t.outage)
				}
			})
		}
		r.abandoned.add(lost)
		if len(r.recovered.topics) > 0 {
			st.emitRecovery(r, now, len(lost) == 0)
		}
		if len(r.abandoned.topics) > 0 {
			st.emit(r.abandoned.report(now, max(1, r.failed)))
		}
	}
}

// stopReports stops the timers of the reports.
func (st *state) stopReports() {
	for kind := range st.reports {
		if timer := st.reports[kind].timer; timer != nil {
			timer.Stop()
		}
	}
}

// emit passes a report to the Observer.
func (st *state) emit(f *Failure) {
	st.after(func() { st.sub.observer.Report(f) })
}

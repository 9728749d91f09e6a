// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Failure is a report that topics cannot be received, or that they can be again.
type Failure struct {
	Op        string        // "connect", "receive", or the command that was refused
	Channels  []string      // the names of the topics, sorted
	Recovered bool          // the outage is over
	Downtime  time.Duration // its length so far
	Count     int           // how many failures this reports
	Err       error         // the cause
}

// Error returns the cause. The fields are for the package above.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// failure returns a report of o alone.
func (o *outage) failure(names []string) *Failure {
	var one repeats
	one.add(o, names)
	return one.failure()
}

// reportInterval is how often the same failure is reported at most.
const reportInterval = time.Second

// reporter makes one report of failures that repeat. It is part of the state.
type reporter struct {
	recent map[string]*repeats // by what is the same about a failure
	closed bool                // all failures are reported at once
}

// repeats is a failure that was reported not long ago, and how often it has happened
// since.
type repeats struct {
	interval  *time.Timer
	recovered bool // it is about outages that are over
	last      *outage
	since     time.Time // the first of them began
	until     time.Time // they were over; zero: they are not
	names     map[string]struct{}
	count     int
}

// reportAll reports outages that nobody waits for any more.
func (st *state) reportAll(in outages) {
	for o, names := range in {
		st.reports.failed(st, o, names)
	}
}

// reportRecovered reports outages that are over. Attempts that failed before, and are not
// reported yet, are then reported as over, too.
func (st *state) reportRecovered(in outages) {
	for o, names := range in {
		for _, r := range st.reports.recent {
			r.over(names)
		}
		st.reports.add(st, o, names, true)
	}
}

func (r *reporter) failed(st *state, o *outage, names []string) { r.add(st, o, names, false) }

func (r *reporter) add(st *state, o *outage, names []string, recovered bool) {
	key := fmt.Sprint(recovered, " ", o.op, " ", cause(o.err))
	if known := r.recent[key]; known != nil {
		known.add(o, names)
		return
	}
	if !r.closed {
		if r.recent == nil {
			r.recent = make(map[string]*repeats)
		}
		r.recent[key] = r.begin(st.sub, key, recovered)
	}
	one := repeats{recovered: recovered}
	one.add(o, names)
	st.emit(one.failure())
}

// begin begins an interval, at the end of which the repeats are reported.
func (r *reporter) begin(s *Subscription, key string, recovered bool) *repeats {
	return &repeats{recovered: recovered, interval: time.AfterFunc(reportInterval, func() {
		s.update(func(st *state) { r.end(st, key) })
	})}
}

// end reports what has come together in an interval, and begins another. If nothing has,
// the failure is forgotten.
func (r *reporter) end(st *state, key string) {
	ended := r.recent[key]
	switch {
	case ended == nil:
	case ended.count == 0:
		delete(r.recent, key)
	default:
		r.recent[key] = r.begin(st.sub, key, ended.recovered)
		st.emit(ended.failure())
	}
}

// flushReports reports at once what waits for the end of an interval, and all that
// follows.
func (st *state) flushReports() {
	r := &st.reports
	recent := r.recent
	r.recent, r.closed = nil, true
	for _, key := range slices.Sorted(maps.Keys(recent)) {
		recent[key].interval.Stop()
		if recent[key].count > 0 {
			st.emit(recent[key].failure())
		}
	}
}

// emit hands a report to the Observer.
func (st *state) emit(f *Failure) {
	st.after(func() { st.sub.observer.Report(f) })
}

func (r *repeats) add(o *outage, names []string) {
	if r.count == 0 || o.since.Before(r.since) {
		r.since = o.since
	}
	if r.names == nil {
		r.names = make(map[string]struct{}, len(names))
	}
	for _, name := range names {
		r.names[name] = struct{}{}
	}
	last := *o // it may reach back further later
	r.last = &last
	r.until = time.Time{}
	r.count++
}

// over notes that an outage of names is over. Other names may be in one still.
func (r *repeats) over(names []string) {
	if r.recovered || r.count == 0 {
		return
	}
	left := maps.Clone(r.names)
	for _, name := range names {
		delete(left, name)
	}
	if len(left) == 0 {
		r.until = time.Now()
		return
	}
	r.names = left
}

func (r *repeats) failure() *Failure {
	f := &Failure{
		Op:        r.last.op,
		Channels:  slices.Sorted(maps.Keys(r.names)),
		Recovered: r.recovered || !r.until.IsZero(),
		Count:     r.count,
		Err:       r.last.err,
	}
	switch {
	case r.since.IsZero():
	case r.until.IsZero():
		f.Downtime = time.Since(r.since)
	default:
		f.Downtime = r.until.Sub(r.since)
	}
	return f
}

// cause is what errors of the same failure have in common: those of connections and
// lookups differ in their ports, those of a slot that has moved in its number.
func cause(err error) string {
	if _, moved := redis.IsMovedError(err); moved {
		return "MOVED"
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return "lookup " + lookup.Name
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

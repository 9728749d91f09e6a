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

// Failure is a report that topics cannot be received, or that they can be received again.
type Failure struct {
	Op        string        // "connect", "receive", or the name of a command
	Channels  []string      // the names of the topics, sorted
	Recovered bool          // the outage is over
	Downtime  time.Duration // the length of the outage so far
	Count     int           // how many failures this is the report of
	Err       error         // the cause
}

// Error returns the text of the cause. The caller of this package formats the fields.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// failure returns a report of o for topics.
func (o *outage) failure(names []string) *Failure {
	var one repeats
	one.add(o, names)
	return one.failure()
}

// reportInterval is the shortest time between two reports of the same failure.
const reportInterval = time.Second

// reporter limits the reports of failures that repeat. It is part of the state.
type reporter struct {
	recent map[string]*repeats // the failures of the last interval, by what they have in common
	closed bool                // there is no limit any more
}

// repeats counts how often a failure has repeated since its last report.
type repeats struct {
	interval  *time.Timer
	recovered bool // these are outages that are over
	last      *outage
	since     time.Time // when the first of them began
	until     time.Time // when the last of them was over; zero: it is not
	names     map[string]struct{}
	count     int
}

// reportAll reports outages of topics that are not needed any more.
func (st *state) reportAll(in outages) {
	for o, names := range in {
		st.reports.failed(st, o, names)
	}
}

// reportRecovered reports outages that are over. Failures of the same topics that are not
// reported yet are later reported as over, too.
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

// begin begins an interval. The repeats are reported when it ends.
func (r *reporter) begin(s *Subscription, key string, recovered bool) *repeats {
	return &repeats{recovered: recovered, interval: time.AfterFunc(reportInterval, func() {
		s.update(func(st *state) { r.end(st, key) })
	})}
}

// end ends an interval. If the failure has repeated, it reports that and begins another
// interval. If not, it deletes the failure.
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

// flushReports reports at once what waits for the end of an interval, and removes the limit
// for later failures.
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

// emit passes a report to the Observer.
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
	last := *o // a copy, since o may be extended later
	r.last = &last
	r.until = time.Time{}
	r.count++
}

// over notes that the outage of some topics is over. Others may still be in it.
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

// cause returns what errors of the same failure have in common. Errors of connections and
// lookups differ in the port, and MOVED replies in the slot.
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"maps"
	"slices"
	"time"
)

// Failure is a report that topics cannot be received, or that they can be received again.
type Failure struct {
	Op        string        // "connect", "receive", or the name of a command
	Channels  []string      // the names of the topics, sorted
	Recovered bool          // the outage is over
	Downtime  time.Duration // how far back the outage reaches
	Count     int           // how many failures this is the report of
	Err       error         // the cause
}

// Error returns the text of the cause. The caller of this package formats the fields.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// failure returns a report of o for topics.
func (o *outage) failure(names []string) *Failure {
	return o.report(sinces{}.with(names, o.since), 1)
}

// report returns a report of topics, of which o is the last outage. Without topics, nothing is
// subscribed to.
func (o *outage) report(topics sinces, count int) *Failure {
	f := &Failure{Op: o.op, Channels: slices.Sorted(maps.Keys(topics)), Count: count, Err: o.err}
	if first := topics.first(); !first.IsZero() {
		f.Downtime = time.Since(first)
	}
	return f
}

// sinces holds the names of topics, and until when each was received.
type sinces map[string]time.Time

// with returns s with more topics. If s has a topic already, the earlier time counts.
func (s sinces) with(names []string, since time.Time) sinces {
	if s == nil {
		s = make(sinces, len(names))
	}
	for _, name := range names {
		if before, ok := s[name]; !ok || since.Before(before) {
			s[name] = since
		}
	}
	return s
}

// first returns the earliest of the times.
func (s sinces) first() (first time.Time) {
	for _, since := range s {
		if first.IsZero() || since.Before(first) {
			first = since
		}
	}
	return first
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
)

// Report is a SubscriptionError and the time when the error handler got it.
type Report struct {
	*tracedpubsub.SubscriptionError
	At time.Time
}

// ReportLog is an error handler that keeps the reports of subscriptions.
type ReportLog struct {
	mu      sync.Mutex
	reports []Report
	total   int
	others  []error
	changed chan struct{} // closed by the next call of Handle
}

// NewReportLog returns an empty log.
func NewReportLog() *ReportLog { return &ReportLog{changed: make(chan struct{})} }

// Handle is the error handler.
func (r *ReportLog) Handle(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := As[*tracedpubsub.SubscriptionError](err); ok {
		r.reports = append(r.reports, Report{e, time.Now()})
		r.total++
	} else {
		r.others = append(r.others, err)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// All returns the reports so far.
func (r *ReportLog) All() []Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.reports)
}

// Others returns the errors so far that are not a SubscriptionError.
func (r *ReportLog) Others() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.others)
}

// Total returns the number of reports so far, those that were dropped among them.
func (r *ReportLog) Total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// DropBefore drops the reports from before a moment.
func (r *ReportLog) DropBefore(moment time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = slices.DeleteFunc(r.reports, func(e Report) bool { return e.At.Before(moment) })
}

// WaitFor waits for a report with the given op that names the channel or pattern, and
// returns the first one.
func (r *ReportLog) WaitFor(t *testing.T, op, topic string) Report {
	t.Helper()
	matches := func(e Report) bool { return e.Op == op && slices.Contains(e.Channels, topic) }
	reports := r.WaitUntil(t, op+" "+topic, func(reports []Report) bool { return slices.ContainsFunc(reports, matches) })
	return reports[slices.IndexFunc(reports, matches)]
}

// Await is WaitFor without a result.
func (r *ReportLog) Await(t *testing.T, op, topic string) {
	t.Helper()
	_ = r.WaitFor(t, op, topic)
}

// AwaitRecovery waits for a report that an outage of all of topics is over. It may be about
// others, too: outages that end at about the same time are one report.
func (r *ReportLog) AwaitRecovery(t *testing.T, topics ...string) {
	t.Helper()
	r.WaitUntil(t, fmt.Sprintf("the end of the outage of %q", topics), func(all []Report) bool {
		return slices.ContainsFunc(all, func(e Report) bool {
			return e.Recovered && !slices.ContainsFunc(topics, func(topic string) bool { return !slices.Contains(e.Channels, topic) })
		})
	})
}

// WaitUntil waits until the reports so far are enough, and returns them; what says in a
// failure message what is missing.
func (r *ReportLog) WaitUntil(t *testing.T, what string, enough func([]Report) bool) []Report {
	t.Helper()
	late := time.After(Patience)
	for {
		r.mu.Lock()
		reports, changed := slices.Clone(r.reports), r.changed
		r.mu.Unlock()
		if enough(reports) {
			return reports
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%s was not reported; got %v", what, Texts(reports))
		}
	}
}

// AssertNone asserts that nothing has been reported.
func (r *ReportLog) AssertNone(t *testing.T) {
	t.Helper()
	if reports, others := r.All(), r.Others(); len(reports)+len(others) > 0 {
		t.Errorf("reported was %v and %v, want nothing", Texts(reports), others)
	}
}

// Texts returns the texts of reports.
func Texts(reports []Report) []string {
	var texts []string
	for _, e := range reports {
		texts = append(texts, e.Error())
	}
	return texts
}

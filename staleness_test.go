// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"strings"
	"testing"
)

// What is said of an outage after it is over says so: the last that the error
// handler hears of a subscription that is heard is not that it is deaf.
func TestNoReportOfAnOutageThatIsOver(t *testing.T) {
	server, rdb := startServer(t)
	s := newSubject(t, server.Addr())
	sub := s.subscribed(t, "a")
	server.Kill()
	s.reports.await(t, "connect", "a")
	server.Restart()
	mustBeReadyAgain(t, sub)
	publishRaw(t, rdb, "a", "after")
	assertReceives(t, sub, "after")
	s.reports.await(t, "receive", "a")
	_ = sub.Close() // what is still to be reported is, now
	for _, got := range s.reports.all()[1:] {
		if text := got.Error(); got.Op != "connect" && !strings.Contains(text, "recovered after") {
			t.Errorf("reported was %q", text)
		}
	}
	all := s.reports.all()
	if last := all[len(all)-1].Error(); !strings.Contains(last, "recovered after") {
		t.Errorf("the last report is %q, want that a is heard again", last)
	}
}

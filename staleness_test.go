// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// What is said of an outage after it is over says so: the last that the error
// handler hears of a subscription that is heard is not that it is deaf.
func TestNoReportOfAnOutageThatIsOver(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	server.Kill()
	s.Reports.WaitFor(t, "connect", "a")
	server.Restart()
	tracetest.EventuallyReady(t, sub)
	tracetest.PublishRaw(t, rdb, "a", "after")
	tracetest.AssertReceives(t, sub, "after")
	s.Reports.WaitFor(t, "receive", "a")
	_ = sub.Close() // what is still to be reported is, now
	for _, got := range s.Reports.All()[1:] {
		if text := got.Error(); got.Op != "connect" && !strings.Contains(text, "recovered after") {
			t.Errorf("reported was %q", text)
		}
	}
	all := s.Reports.All()
	if last := all[len(all)-1].Error(); !strings.Contains(last, "recovered after") {
		t.Errorf("the last report is %q, want that a is heard again", last)
	}
}

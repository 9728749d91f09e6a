// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Close during an outage reports the downtime until then.
func TestCloseInAnOutage(t *testing.T) {
	proxy, s, _ := proxied(t)
	sub := s.ReadySubscription(t, "a", "b")
	before := proxy.Accepted()
	proxy.BlackHole() // no attempt fails before the DialTimeout of the client
	proxy.Cut()
	cut := time.Now()
	proxy.WaitAccepted(before + 1)
	if got := s.Reports.All(); len(got) > 0 {
		t.Fatalf("reported was %v already: the test proves nothing", tracetest.Texts(got))
	}
	closed := time.Now()
	_ = sub.Close()
	proxy.Cut() // ends the handshake
	got := s.Reports.WaitFor(t, "receive", "a")
	if !slices.Equal(got.Channels, []string{"a", "b"}) {
		t.Errorf("topics are %v, want [a b]", got.Channels)
	}
	if from := got.At.Add(-got.Downtime); from.After(cut) || got.At.Before(closed) {
		t.Errorf("reported was %v, which does not cover the time from %v until %v", got, cut, closed)
	}
}

// Unsubscribing from a channel during an outage reports the downtime until then.
func TestUnsubscribeInAnOutage(t *testing.T) {
	proxy, s, _ := proxied(t)
	sub := s.ReadySubscription(t, "a", "b")
	before := proxy.Accepted()
	proxy.BlackHole()
	proxy.Cut()
	cut := time.Now()
	proxy.WaitAccepted(before + 1)
	unsubscribed := time.Now()
	if err := sub.Unsubscribe(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	got := s.Reports.WaitFor(t, "receive", "a")
	if !slices.Equal(got.Channels, []string{"a"}) {
		t.Errorf("topics are %v, want [a]", got.Channels)
	}
	if from := got.At.Add(-got.Downtime); from.After(cut) || got.At.Before(unsubscribed) {
		t.Errorf("reported was %v, which does not cover the time from %v until %v", got, cut, unsubscribed)
	}
	proxy.Accept()
	proxy.Cut()
	s.Reports.Await(t, "receive", "b")
}

// Reports that are delayed until an outage is over say that it is over. The last report
// about a subscription that has recovered is the recovery.
func TestNoReportOfAnOutageThatIsOver(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	server.Kill()
	s.Reports.Await(t, "connect", "a")
	server.Restart()
	tracetest.EventuallyReady(t, sub)
	tracetest.PublishRaw(t, rdb, "a", "after")
	tracetest.AssertReceives(t, sub, "after")
	s.Reports.Await(t, "receive", "a")
	_ = sub.Close() // reports what has not been reported yet
	for _, got := range s.Reports.All()[1:] {
		if text := got.Error(); got.Op != "connect" && !strings.Contains(text, "recovered after") {
			t.Errorf("reported was %q", text)
		}
	}
	all := s.Reports.All()
	if last := all[len(all)-1].Error(); !strings.Contains(last, "recovered after") {
		t.Errorf("the last report is %q, want that a has recovered", last)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Nobody will hear again after Close, and what was lost until then is to be known.
func TestCloseInAnOutage(t *testing.T) {
	proxy, s, _ := proxied(t)
	sub := s.ReadySubscription(t, "a", "b")
	before := proxy.Accepted()
	proxy.BlackHole() // no attempt fails before the client's DialTimeout
	proxy.Cut()
	cut := time.Now()
	proxy.WaitAccepted(before + 1)
	if got := s.Reports.All(); len(got) > 0 {
		t.Fatalf("reported was %v already: this tests nothing", tracetest.Texts(got))
	}
	closed := time.Now()
	_ = sub.Close()
	proxy.Cut() // ends the handshake
	got := s.Reports.WaitFor(t, "receive", "a")
	if !slices.Equal(got.Channels, []string{"a", "b"}) {
		t.Errorf("names are %v, want [a b]", got.Channels)
	}
	if from := got.At.Add(-got.Downtime); from.After(cut) || got.At.Before(closed) {
		t.Errorf("reported was %v, which is not about all the time from %v until %v", got, cut, closed)
	}
}

// Who leaves a channel during an outage has lost what was published on it until then.
func TestUnsubscribeInAnOutage(t *testing.T) {
	proxy, s, _ := proxied(t)
	sub := s.ReadySubscription(t, "a", "b")
	before := proxy.Accepted()
	proxy.BlackHole()
	proxy.Cut()
	cut := time.Now()
	proxy.WaitAccepted(before + 1)
	left := time.Now()
	if err := sub.Unsubscribe(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	got := s.Reports.WaitFor(t, "receive", "a")
	if !slices.Equal(got.Channels, []string{"a"}) {
		t.Errorf("names are %v, want [a]", got.Channels)
	}
	if from := got.At.Add(-got.Downtime); from.After(cut) || got.At.Before(left) {
		t.Errorf("reported was %v, which is not about all the time from %v until %v", got, cut, left)
	}
	proxy.Accept()
	proxy.Cut()
	s.Reports.WaitFor(t, "receive", "b")
}

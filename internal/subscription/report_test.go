// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// reportCount is how many reports a scripted outage has, and what they sum up to.
type reportCount struct{ failures, recoveries, counted int }

func count(reports []report) (c reportCount) {
	for _, r := range reports {
		c.counted += r.Count
		if r.Recovered {
			c.recoveries++
		} else {
			c.failures++
		}
	}
	return c
}

// down makes s refuse connections for a time.
func (s *server) downFor(d time.Duration) {
	s.set(&s.down, true)
	s.cut()
	pass(d)
	s.set(&s.down, false)
}

// An outage that ends at the first attempt is reported once: it is over.
func TestAShortOutageIsOneReport(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		s.cut()
		pass(time.Second)
		reports := l.take()
		if got := count(reports); got != (reportCount{recoveries: 1, counted: 1}) {
			t.Fatalf("reported was %+v, want one recovery", got)
		}
		if r := reports[0]; r.Op != "receive" || !slices.Equal(r.Channels, []string{"a"}) {
			t.Errorf("reported was %+v, want that a is received again", r.Failure)
		}
	})
}

// An outage that lasts is reported at growing intervals, and once when it is over.
func TestALongOutageIsReportedEverLessOften(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		pass(3 * time.Second)
		lost := time.Now()
		s.downFor(10 * time.Minute)
		mustBeReadyInTheEnd(t, sub)
		synctest.Wait()
		reports := l.take()
		last := reports[len(reports)-1]
		if !last.Recovered || last.Downtime < last.at.Sub(lost) || last.Downtime > last.at.Sub(lost)+5*time.Second {
			t.Errorf("the last report is %+v, want that the outage of %v is over", last.Failure, last.at.Sub(lost))
		}
		got := count(reports)
		if got.recoveries != 1 || got.counted != l.failed() {
			t.Errorf("reported was %+v, want one recovery, and all of the %d failures", got, l.failed())
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
			interval := reports[i+1].at.Sub(reports[i].at)
			if want *= time.Second; interval < want || interval > want+time.Second {
				t.Errorf("report %d came %v after the one before, want %v, and at most a second for the next attempt", i+1, interval, want)
			}
		}
	})
}

// Outages that follow each other closely are no more than a report a second.
func TestFlappingIsAReportASecond(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		began := time.Now()
		var ended time.Time // not before the last cut
		for time.Since(began) < 10*time.Second {
			ended = time.Now()
			s.cut()
			pass(100 * time.Millisecond)
		}
		pass(2 * time.Second)
		reports := l.take()
		if got := count(reports); got.failures != 0 || got.recoveries == 0 {
			t.Errorf("reported was %+v, want recoveries", got)
		}
		// They are a second apart, and together they cover the whole time.
		covered := began
		for i, r := range reports {
			if i > 0 && r.at.Sub(covered) < time.Second {
				t.Errorf("two reports came %v apart, want a second", r.at.Sub(covered))
			}
			if from := r.at.Add(-r.Downtime); from.After(covered.Add(100 * time.Millisecond)) {
				t.Errorf("no report covers the time from %v to %v", covered, from)
			}
			covered = r.at
		}
		if covered.Before(ended) {
			t.Errorf("the last report came %v before the end", ended.Sub(covered))
		}
	})
}

// A topic that is refused for long does not hide that the connection was lost and is back.
func TestARefusalIsReportedApart(t *testing.T) {
	s := &server{refuse: func(command []string) string {
		if command[0] == "subscribe" && slices.Contains(command, "secret") {
			return "NOPERM no permissions"
		}
		return ""
	}}
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		if err := sub.Subscribe(t.Context(), subscription.Channels, "secret"); err != nil {
			t.Fatal(err)
		}
		pass(100 * time.Second)
		if got := count(l.take()); got.recoveries != 0 || got.failures < 6 || got.failures > 8 {
			t.Errorf("reported was %+v, want the refusal at growing intervals", got)
		}
		s.cut()
		pass(2 * time.Second)
		reports := slices.DeleteFunc(l.take(), func(r report) bool { return r.Op == "subscribe" })
		if got := count(reports); got != (reportCount{recoveries: 1, counted: 1}) {
			t.Fatalf("reported was %+v, want one recovery", got)
		}
		if r := reports[0]; !slices.Equal(r.Channels, []string{"a"}) {
			t.Errorf("reported was %+v, want that a is received again", r.Failure)
		}
	})
}

// Two servers are lost at once. That is one outage.
func TestTwoShardsAreOneOutage(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		both.change(func() { both.owners = map[string]int{"b": 1} })
		mustSubscribe(t, sub, subscription.ShardChannels, "a", "b")
		for _, s := range servers {
			s.cut()
		}
		pass(3 * time.Second)
		reports := l.take()
		if got := count(reports); got.recoveries != 1 || got.failures != 0 {
			t.Fatalf("reported was %+v, want one recovery", got)
		}
		if r := reports[0]; !slices.Equal(r.Channels, []string{"a", "b"}) {
			t.Errorf("reported was %+v, want that both are received again", r.Failure)
		}
	})
}

// One of two servers stays away. That the other is back is not kept for the end.
func TestAPartOfAnOutageRecovers(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		both.change(func() { both.owners = map[string]int{"b": 1} })
		mustSubscribe(t, sub, subscription.ShardChannels, "a", "b")
		servers[0].cut()
		servers[1].set(&servers[1].down, true)
		servers[1].cut()
		pass(5 * time.Second)
		reports := slices.DeleteFunc(l.take(), func(r report) bool { return !r.Recovered })
		if len(reports) != 1 || !slices.Equal(reports[0].Channels, []string{"a"}) {
			t.Errorf("recoveries are %v, want that of a", reports)
		}
		servers[1].set(&servers[1].down, false)
		pass(3 * time.Second)
		reports = slices.DeleteFunc(l.take(), func(r report) bool { return !r.Recovered })
		if len(reports) != 1 || !slices.Equal(reports[0].Channels, []string{"b"}) {
			t.Errorf("recoveries are %v, want that of b", reports)
		}
	})
}

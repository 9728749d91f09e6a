// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// TestKeyspaceFaults does one fault after the other to a cluster.
func TestKeyspaceFaults(t *testing.T) {
	t.Parallel()
	redistest.Long(t)
	c := startNotifyingCluster(t)
	for _, tt := range []struct {
		name, reason string
		fault        func(t *testing.T, a *account)
	}{
		{"a master is killed", "its replica takes over", testKeyspaceKilledMaster},
		{"failover", "the master becomes a replica, and still sends notifications", testKeyspaceFailover},
		{"a connection is lost", "those to the other masters go on", testKeyspaceLostConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := c.subject(t)
			a := s.open(t)
			tt.fault(t, a)
			a.settle(t)
			if t.Failed() {
				t.Logf("reason: %s, reported was %q", tt.reason, tracetest.Texts(s.reports.All()))
			}
		})
	}
	t.Run("masters come and go", func(t *testing.T) { testMastersComeAndGo(t, c.subject(t)) })
}

const setEvents = "__keyevent@0__:set"

// account sets keys of all masters all the time, and counts their events.
type account struct {
	*clusterSubject

	sub  *tracedpubsub.PubSub
	tags []string // of keys, one for each master at first
	stop chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex
	set      []event
	received map[string]int // by key
}

// event is a key that was set between two moments.
type event struct {
	key          string
	began, ended time.Time
}

func (s *clusterSubject) open(t *testing.T) *account {
	t.Helper()
	a := &account{
		clusterSubject: s, sub: s.ready(t, s.Subscribe(tracetest.Context(t), setEvents)), tags: s.cluster.keys(t, "tag"),
		stop: make(chan struct{}), received: make(map[string]int),
	}
	stop := a.stop
	a.done.Go(func() { a.setKeys(t, stop) })
	a.done.Go(func() {
		for _, m := range a.sub.Messages(t.Context()) {
			a.mu.Lock()
			a.received[m.Payload]++
			a.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		a.end()
		a.done.Wait()
	})
	return a
}

// end ends the goroutines.
func (a *account) end() {
	if a.stop != nil {
		close(a.stop)
		a.stop = nil
		_ = a.sub.Close()
	}
}

func (a *account) setKeys(t *testing.T, stop <-chan struct{}) {
	for i := 0; ; i++ {
		for _, tag := range a.tags {
			e := event{key: fmt.Sprintf("{%s}%d", tag, i), began: time.Now()}
			err := a.rdb.Set(t.Context(), e.key, "", time.Minute).Err()
			e.ended = time.Now()
			if err == nil {
				a.mu.Lock()
				a.set = append(a.set, e)
				a.mu.Unlock()
			}
		}
		select {
		case <-stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// awaitEvents waits for the event of a key of each tag that is set from now on.
func (a *account) awaitEvents(t *testing.T) {
	t.Helper()
	now := time.Now()
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "there are events of all masters", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, tag := range a.tags {
			if !slices.ContainsFunc(a.set, func(e event) bool {
				return e.began.After(now) && e.key[1:len(tag)+1] == tag && a.received[e.key] > 0
			}) {
				return false
			}
		}
		return true
	})
}

// settle asserts that the event of each key was received once, unless it was set during an
// outage that was reported.
func (a *account) settle(t *testing.T) {
	t.Helper()
	tracetest.WaitReady(t, a.sub)
	a.awaitEvents(t)
	a.mu.Lock()
	set := slices.Clone(a.set)
	a.mu.Unlock()
	last := time.Now()
	a.awaitEvents(t) // those before have been received, if ever
	a.end()
	a.done.Wait()
	reports := a.reports.All()
	lost := 0
	for _, e := range set {
		inOutage := slices.ContainsFunc(reports, func(r tracetest.Report) bool {
			return slices.Contains(r.Channels, setEvents) && e.ended.After(r.At.Add(-r.Downtime)) && e.began.Before(r.At)
		})
		switch n := a.received[e.key]; {
		case n == 1:
		case n == 0 && inOutage:
			lost++
		case !inOutage:
			t.Errorf("%s, %v before the end: %d events, and no outage", e.key, last.Sub(e.began), n)
		}
	}
	t.Logf("%d keys, %d events lost, reports: %q", len(set), lost, tracetest.Texts(reports))
	if len(reports) == 0 || !reports[len(reports)-1].Recovered {
		t.Errorf("reported was %q, want an outage that is over", tracetest.Texts(reports))
	}
}

func testKeyspaceKilledMaster(t *testing.T, a *account) {
	a.awaitEvents(t)
	node := a.cluster.KillMasterOf(a.tags[0])
	tracetest.EventuallyWithin(t, 3*time.Second, "the new master has the subscription", func() bool {
		return len(a.subscriptions(t, a.cluster.OwnerOf(a.tags[0]))) == 1
	})
	a.awaitEvents(t)
	node.Restart()
	a.cluster.WaitUntilHealthy()
	a.awaitEvents(t)
	a.assertSubscriptions(t, 1, 1, 1)
}

func testKeyspaceFailover(t *testing.T, a *account) {
	a.awaitEvents(t)
	master := a.cluster.OwnerOf(a.tags[0])
	a.cluster.Failover(a.cluster.ReplicaOf(master))
	a.awaitEvents(t) // from either node
	// The nodes of the cluster are asked every ten seconds.
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the new master has the subscription, and the replica has none", func() bool {
		return len(a.subscriptions(t, a.cluster.OwnerOf(a.tags[0]))) == 1 && len(a.subscriptions(t, master)) == 0
	})
	a.awaitEvents(t)
	a.assertSubscriptions(t, 1, 1, 1)
}

func testKeyspaceLostConnection(t *testing.T, a *account) {
	a.awaitEvents(t)
	if n := a.kill(t, a.cluster.OwnerOf(a.tags[1])); n != 1 {
		t.Fatalf("%d connections to one master, want 1", n)
	}
	a.reports.Await(t, "receive", setEvents)
}

// testMastersComeAndGo gives slots to a master that has had none, and takes them away again.
func testMastersComeAndGo(t *testing.T, s *clusterSubject) {
	for _, master := range s.cluster.Masters() {
		if err := s.cluster.admin(master).FlushAll(t.Context()).Err(); err != nil { // slots move without keys
			t.Fatal(err)
		}
	}
	added := s.cluster.Masters()[0]
	s.cluster.MoveSlotsAway(added)
	rest := s.cluster.Masters()
	key := s.cluster.ChannelOn(rest[0], "added")
	sub := s.ready(t, s.Subscribe(tracetest.Context(t), setEvents))
	s.assertSubscriptions(t, 1, 1)

	moved := time.Now()
	s.cluster.MigrateSlotOf(key, added)
	// The nodes of the cluster are asked every ten seconds.
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the master that was added has the subscription", func() bool {
		return len(s.subscriptions(t, added)) == 1
	})
	tracetest.WaitReady(t, sub)
	report := s.reports.WaitFor(t, "subscribe", setEvents)
	if since := report.At.Add(-report.Downtime); !report.Recovered || since.After(moved) || moved.Sub(since) > 15*time.Second {
		t.Errorf("reported was %v, want an outage since %v at most 15 s before", report.Error(), moved)
	}
	assertEvents := func(when string) {
		t.Helper()
		keys := []string{key, s.cluster.ChannelOn(rest[0], "kept"), s.cluster.ChannelOn(rest[1], "kept")}
		s.set(t, keys...)
		assertReceivesAll(t, sub, keys...)
		if err := s.rdb.Del(t.Context(), key).Err(); err != nil {
			t.Fatalf("%s: DEL: %v", when, err)
		}
	}
	assertEvents("after it was added")

	s.cluster.MoveSlotsAway(added)
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "a master without slots has no subscription", func() bool {
		return len(s.subscriptions(t, added)) == 0
	})
	assertEvents("after it was removed")
	tracetest.WaitReady(t, sub)
	if n := len(s.reports.All()); n != 1 {
		t.Errorf("%d reports, want one: no event is lost with a master without slots", n)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// Each name of a topic is subscribed to on the main server, on all masters, or on both.
func TestWhereNotificationsAreSubscribedTo(t *testing.T) {
	const mainOnly, all, both = "1", "1 1", "2 1"
	for _, tt := range []struct {
		kind        subscription.Kind
		name, where string
		reason      string
	}{
		{kind: subscription.Channels, name: "__keyspace@0__:a", where: all, reason: "notifications of a key"},
		{kind: subscription.Channels, name: "__keyevent@0__:set", where: all, reason: "notifications of an event"},
		{kind: subscription.Channels, name: "__subkeyspaceitem@0__:a\nb", where: all, reason: "they are new in Redis 8.8"},
		{kind: subscription.Channels, name: "__keyspace", where: mainOnly, reason: "no notification"},
		{kind: subscription.Channels, name: "a__keyspace@0__:a", where: mainOnly, reason: "no notification"},
		{kind: subscription.Channels, name: "__key*__:*", where: mainOnly, reason: "a channel is no pattern"},
		{kind: subscription.Patterns, name: "__keyspace@0__:a", where: all, reason: "a pattern may have no wildcard"},
		{kind: subscription.Patterns, name: "__keyspace@*__:user[12]", where: all, reason: "it matches nothing else"},
		{kind: subscription.Patterns, name: "__subkeyevent@0__:h?et", where: all, reason: "it matches nothing else"},
		{kind: subscription.Patterns, name: "__key*__:*", where: both, reason: "the pattern of the documentation"},
		{kind: subscription.Patterns, name: "__key[es]*@0__:*", where: both, reason: "it may match others"},
		{kind: subscription.Patterns, name: `__keyspace\@0__:*`, where: both, reason: "an escape may be anything"},
		{kind: subscription.Patterns, name: "__subkey*", where: both, reason: "it may match others"},
		{kind: subscription.Patterns, name: "*", where: mainOnly, reason: "it is not meant for notifications"},
		{kind: subscription.Patterns, name: "__*", where: mainOnly, reason: "it is not meant for notifications"},
		{kind: subscription.Patterns, name: "__keyx*", where: mainOnly, reason: "it matches no notification"},
		{kind: subscription.Patterns, name: "__key", where: mainOnly, reason: "it matches no notification"},
	} {
		t.Run(fmt.Sprint(int(tt.kind), " ", tt.name), func(t *testing.T) {
			onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, _ *log, _ *spread, servers [2]*server) {
				mustSubscribe(t, sub, tt.kind, tt.name)
				op := [...]string{"subscribe", "psubscribe"}[tt.kind]
				where := strconv.Itoa(len(servers[0].commands(op)))
				if n := len(servers[1].commands(op)); n > 0 {
					where += " " + strconv.Itoa(n)
				}
				if where != tt.where {
					t.Errorf("subscribed to %s times on the servers, want %s: %s", where, tt.where, tt.reason)
				}
				if got := sub.Topics(tt.kind); !slices.Equal(got, []string{tt.name}) {
					t.Errorf("topics are %q, want it once", got)
				}
			})
		})
	}
}

// Nodes forward ordinary messages to each other, and no notifications.
func TestAPatternForNotificationsDeliversOtherMessagesOnce(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, _ *spread, servers [2]*server) {
		mustSubscribe(t, sub, subscription.Patterns, "__key*")
		servers[0].push("pmessage", "__key*", "__keyspace@0__:a", "set") // to both connections
		servers[1].push("pmessage", "__key*", "__keyspace@0__:b", "set")
		for _, s := range servers {
			s.push("pmessage", "__key*", "__keyboard", "a")
		}
		synctest.Wait()
		got := slices.Sorted(slices.Values(l.received()))
		if want := []string{"__keyboard: a", "__keyspace@0__:a: set", "__keyspace@0__:b: set"}; !slices.Equal(got, want) {
			t.Errorf("received %q, want %q", got, want)
		}
	})
}

// A master that was added has sent notifications to nobody before it is known.
func TestNotificationsOfANewMaster(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		clients := both.clients
		both.change(func() { both.clients = clients[:1] })
		mustSubscribe(t, sub, subscription.Channels, "__keyevent@0__:set", "__keyevent@0__:del")
		pass(time.Minute)
		added := time.Now()
		both.change(func() { both.clients = clients })
		pass(12 * time.Second)
		mustBeReady(t, sub)
		if len(servers[1].commands("subscribe")) != 1 || len(servers[0].commands("subscribe")) != 1 {
			t.Error("they are not subscribed to with one command on each")
		}
		reports := l.take()
		if len(reports) != 1 || !reports[0].Recovered {
			t.Fatalf("reported was %v, want one outage that is over", reports)
		}
		if from := reports[0].at.Add(-reports[0].Downtime); from.After(added) || added.Sub(from) > 12*time.Second {
			t.Errorf("reported was downtime since %v, want since at most 12 s before %v", from, added)
		}
		if err := sub.Unsubscribe(t.Context(), subscription.Channels, "__keyevent@0__:del"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for i, s := range servers {
			if len(s.commands("unsubscribe")) != 1 {
				t.Errorf("server %d got %q", i, s.commands("unsubscribe"))
			}
		}
	})
}

// Before the first verification, nothing is known but when the topic was added.
func TestNotificationsOfAMasterThatIsNewAtFirst(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, _ [2]*server) {
		pass(time.Minute)
		clients := both.clients
		both.change(func() { both.clients = clients[:1] })
		began := time.Now()
		mustSubscribe(t, sub, subscription.Channels, "__keyevent@0__:set")
		both.change(func() { both.clients = clients })
		pass(12 * time.Second)
		mustBeReady(t, sub)
		if reports := l.take(); len(reports) != 1 || !reports[0].Recovered || !reports[0].at.Add(-reports[0].Downtime).Equal(began) {
			t.Errorf("reported was %v, want an outage since %v that is over", reports, began)
		}
	})
}

// A master that is replaced takes the outage of its topics with it: it is one, and ends when the
// new master is connected to.
func TestNotificationsOfAMasterThatIsReplaced(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		clients := both.clients
		both.change(func() { both.clients = clients[:1] })
		mustSubscribe(t, sub, subscription.Patterns, "__keyspace@0__:*")
		pass(time.Minute)
		died := time.Now()
		servers[0].set(&servers[0].down, true)
		servers[0].cut()
		pass(5 * time.Second)
		servers[1].slow(3 * time.Second)
		both.change(func() { both.clients = clients[1:] })
		pass(5 * time.Second)
		mustBeReady(t, sub)
		servers[1].slow(0)
		pass(5 * time.Second) // no dial is left
		var over []report
		for _, r := range l.take() {
			if r.Recovered {
				over = append(over, r)
			}
		}
		if len(over) != 1 || over[0].at.Add(-over[0].Downtime).After(died) || over[0].at.Sub(died) < 8*time.Second {
			t.Errorf("reported was %v, want one end of one outage", over)
		}
		if n := len(servers[1].commands("psubscribe")); n != 1 {
			t.Errorf("the new master got %d commands", n)
		}
	})
}

// A master may refuse what the others allow.
func TestAMasterRefusesNotifications(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, _ *spread, servers [2]*server) {
		refusing := true
		servers[1].refuse = func(command []string) string {
			if refusing && command[0] == "subscribe" {
				return "NOPERM no"
			}
			return ""
		}
		if err := sub.Subscribe(t.Context(), subscription.Channels, "__keyevent@0__:set"); err != nil {
			t.Fatal(err)
		}
		if err := sub.Ready(t.Context()); err == nil {
			t.Error("Ready: nil, want the refusal")
		}
		pass(10 * time.Second)
		servers[0].push("message", "__keyevent@0__:set", "a")
		synctest.Wait()
		if got := l.received(); !slices.Equal(got, []string{"__keyevent@0__:set: a"}) {
			t.Errorf("received %q, want the notification of the other", got)
		}
		servers[1].mu.Lock()
		refusing = false
		servers[1].mu.Unlock()
		pass(2 * time.Second)
		mustBeReady(t, sub)
	})
}

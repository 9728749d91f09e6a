// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The same sentinels serve all of these, in this order: each leaves them healthy.
func TestSentinels(t *testing.T) {
	Long(t)
	s := StartSentinels(t, "--maxclients", "77")
	for _, tt := range []struct {
		name string
		test func(*testing.T, *Sentinels)
	}{
		{"start", testSentinelsStart},
		{"failover", testSentinelsFailover},
		{"cut off the master", testCutOffMaster},
		{"kill the master", testKillMaster},
		{"pause the master", testPauseTheMaster},
		{"cut off a replica", testCutOffReplica},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, s) })
	}
}

// go-redis does not end all goroutines of a NewFailoverClusterClient. A test must be able to use
// one, and other goroutines that are left must still be found.
func TestLeakedOfAFailoverClusterClient(t *testing.T) {
	s := StartSentinels(t)
	before := goroutines()
	client := redis.NewFailoverClusterClient(&redis.FailoverOptions{MasterName: s.MasterName(), SentinelAddrs: s.Addrs()})
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	sub := client.Subscribe(t.Context(), "reports")
	sub.Channel()
	if stacks := leaked(before, 50*time.Millisecond); len(stacks) == 0 {
		t.Error("leaked does not find an open subscription")
	}
	_ = sub.Close()
	_ = client.Close()
	if stacks := leaked(before, leakTimeout); stacks != nil {
		t.Errorf("leaked after Close:\n%s", strings.Join(stacks, "\n\n"))
	}
}

func testSentinelsStart(t *testing.T, s *Sentinels) {
	servers := s.Servers()
	if got := s.Master(); got != servers[0] {
		t.Errorf("the master is at %s, want the first server, %s", got.Addr(), servers[0].Addr())
	}
	if got := s.Replicas(); !slices.Equal(got, servers[1:]) {
		t.Errorf("%d replicas, want the other two servers", len(got))
	}
	if got := s.Addrs(); len(got) != 3 || got[2] != s.Sentinels()[2].Addr() {
		t.Errorf("addresses of the sentinels: %v", got)
	}
	if got := servers[1].Client().ConfigGet(t.Context(), "maxclients").Val()["maxclients"]; got != "77" {
		t.Errorf("maxclients = %q, want 77", got)
	}
	master := s.Client(func(o *redis.FailoverOptions) { o.ClientName = "of-the-test" })
	if err := master.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	list := servers[0].Client().ClientList(t.Context()).Val()
	if !strings.Contains(list, " name=of-the-test ") {
		t.Errorf("clients of the master do not contain name=of-the-test:\n%s", list)
	}
	// The sentinels know each other, and the servers by their proxies.
	told := dialRaw(t, s.Addrs()[0])
	told.send("SENTINEL GET-MASTER-ADDR-BY-NAME " + s.MasterName())
	told.want(strings.ReplaceAll(s.Proxy(servers[0]).Addr(), ":", " "))
	told.ask("SENTINEL CKQUORUM "+s.MasterName(), "OK 3 usable Sentinels. Quorum and failover authorization can be reached")
}

// wantPublished checks that a message that is published on the master as the sentinels tell it
// arrives at a subscriber.
func wantPublished(t *testing.T, s *Sentinels, sub *rawClient) {
	t.Helper()
	dialRaw(t, s.Proxy(s.Master()).Addr()).send("PUBLISH reports hello")
	sub.want("message reports hello")
}

func subscribed(t *testing.T, addr string) *rawClient {
	t.Helper()
	sub := dialRaw(t, addr)
	sub.ask("SUBSCRIBE reports", "subscribe reports 1")
	return sub
}

func testSentinelsFailover(t *testing.T, s *Sentinels) {
	old := s.Master()
	sub := subscribed(t, s.Proxy(old).Addr())
	wantPublished(t, s, sub)

	master := s.Failover()
	if master == old || s.Master() != master {
		t.Errorf("the master is at %s after the failover, and was at %s", master.Addr(), old.Addr())
	}
	wantPublished(t, s, subscribed(t, s.Proxy(master).Addr()))
	// The old one does not know yet. Its subscribers are still there, and hear nothing.
	wantSilence(t, sub.conn)
	sub.ask("PING", "pong ")
	if role := old.Client().Do(t.Context(), "ROLE").Val().([]any)[0]; role != "master" {
		t.Errorf("role of the old master = %v, want master", role)
	}

	s.WaitUntilHealthy()
	if role := old.Client().Do(t.Context(), "ROLE").Val().([]any)[0]; role != "slave" {
		t.Errorf("role of the old master = %v, want slave in the end", role)
	}
	sub.wantEnd(io.EOF)
}

func testCutOffMaster(t *testing.T, s *Sentinels) {
	old := s.Master()
	sub := subscribed(t, s.Proxy(old).Addr())
	s.CutOff(old)
	wantPublished(t, s, sub) // by clients that do not know yet
	s.WaitUntilContested(old)
	master := s.WaitUntilMasterIsNot(old)
	wantPublished(t, s, subscribed(t, s.Proxy(master).Addr()))
	wantSilence(t, sub.conn)
	sub.ask("PING", "pong ")
	dialRaw(t, s.Proxy(old).Addr()).ask("PUBLISH reports stale", "1")
	sub.want("message reports stale")

	s.Rejoin(old)
	s.WaitUntilHealthy()
	sub.wantEnd(io.EOF)
	wantPublished(t, s, subscribed(t, s.Proxy(master).Addr()))
}

func testKillMaster(t *testing.T, s *Sentinels) {
	old := s.Master()
	sub := subscribed(t, s.Proxy(old).Addr())
	old.Kill()
	sub.wantEnd(io.EOF)
	master := s.WaitUntilMasterIsNot(old)
	wantPublished(t, s, subscribed(t, s.Proxy(master).Addr()))
	old.Restart()
	s.WaitUntilHealthy()
	if s.Master() != master {
		t.Error("the restarted server is the master again")
	}
}

func testPauseTheMaster(t *testing.T, s *Sentinels) {
	old := s.Master()
	sub := subscribed(t, s.Proxy(old).Addr())
	old.Pause()
	master := s.WaitUntilMasterIsNot(old)
	old.Resume()
	sub.ask("PING", "pong ") // it counts itself as the master
	wantPublished(t, s, subscribed(t, s.Proxy(master).Addr()))
	wantSilence(t, sub.conn)
	s.WaitUntilHealthy()
	sub.wantEnd(io.EOF)
}

// A replica that is cut off gets nothing from its master.
func testCutOffReplica(t *testing.T, s *Sentinels) {
	master, replica := s.Master(), s.Replicas()[0]
	sub := subscribed(t, s.Proxy(replica).Addr())
	wantReplicated := func(message string) {
		dialRaw(t, master.Addr()).ask("PUBLISH reports "+message, "0")
		sub.want("message reports " + message)
	}
	wantReplicated("before")
	s.CutOff(replica)
	dialRaw(t, master.Addr()).ask("PUBLISH reports lost", "0")
	wantSilence(t, sub.conn)
	s.Rejoin(replica)
	s.WaitUntilHealthy()
	if s.Master() != master {
		t.Error("another server is the master now")
	}
}

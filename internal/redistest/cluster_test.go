// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// One cluster serves all of these, in this order: each leaves it healthy.
func TestCluster(t *testing.T) {
	Long(t)
	c := StartCluster(t, "--maxclients", "77")
	for _, tt := range []struct {
		name string
		test func(*testing.T, *Cluster)
	}{
		{"start", testStart},
		{"channels", testChannels},
		{"client", testClient},
		{"migrate a slot", testMigrateSlotOf},
		{"a slot that its owner forgot", testForgottenSlot},
		{"failover", testFailover},
		{"kill a master", testKillMasterOf},
		{"pause a master", testPauseMaster},
		{"remove a master", testRemove}, // last: two masters are no majority when one fails
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, c) })
	}
}

func testStart(t *testing.T, c *Cluster) {
	nodes, v := c.Nodes(), c.view()
	if len(nodes) != 6 {
		t.Fatalf("%d nodes, want 6", len(nodes))
	}
	if got := c.Masters(); !slices.Equal(got, nodes[:3]) {
		t.Errorf("the masters are not the first three nodes:\n%s", v.roles([]string{c.nodes[0].id, c.nodes[1].id, c.nodes[2].id}))
	}
	for i, master := range nodes[:3] {
		if got := c.ReplicaOf(master); got != nodes[3+i] {
			t.Errorf("the replica of node %d is at %s, want %s", i, got.Addr(), nodes[3+i].Addr())
		}
		if got := c.Addrs()[i]; got != master.Addr() {
			t.Errorf("address %d = %s, want that of the master, %s", i, got, master.Addr())
		}
	}
	for _, n := range nodes {
		for name, want := range map[string]string{
			"maxclients": "77", "cluster-node-timeout": "2000", "cluster-require-full-coverage": "no",
			"bind": "127.0.0.1", "save": "", "appendonly": "no",
		} {
			if got := n.Client().ConfigGet(t.Context(), name).Val()[name]; got != want {
				t.Errorf("%s of the node at %s = %q, want %q", name, n.Addr(), got, want)
			}
		}
	}
}

func testChannels(t *testing.T, c *Cluster) {
	for _, master := range c.Masters() {
		channel := c.ChannelOn(master, "news-")
		if !strings.HasPrefix(channel, "news-") {
			t.Errorf("channel = %q, want it to start with news-", channel)
		}
		if got := c.OwnerOf(channel); got != master {
			t.Errorf("the owner of %s is at %s, want %s", channel, got.Addr(), master.Addr())
		}
		dialRaw(t, master.Addr()).ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
		// A replica serves what its master owns, and others say where to go.
		dialRaw(t, c.ReplicaOf(master).Addr()).ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
		for _, other := range c.Masters() {
			if other != master {
				dialRaw(t, other.Addr()).ask("SSUBSCRIBE "+channel, movedTo(t, master, channel))
			}
		}
	}
}

func testClient(t *testing.T, c *Cluster) {
	client := c.Client(func(o *redis.ClusterOptions) { o.ClientName = "of-the-test" })
	for _, master := range c.Masters() {
		channel := c.ChannelOn(master, "news")
		sub := client.SSubscribe(t.Context(), channel)
		t.Cleanup(func() { _ = sub.Close() })
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := client.SPublish(t.Context(), channel, "hello").Err(); err != nil {
			t.Fatal(err)
		}
		if m, err := sub.ReceiveMessage(t.Context()); err != nil || m.Payload != "hello" {
			t.Errorf("message on %s: %v, %v, want hello", channel, m, err)
		}
	}
	list := c.Masters()[0].Client().ClientList(t.Context()).Val()
	for _, want := range []string{" name=of-the-test ", " name=" + adminName + " "} {
		if !strings.Contains(list, want) {
			t.Errorf("clients of a node do not contain%swhich is the option of a client, or ours:\n%s", want, list)
		}
	}
}

func testMigrateSlotOf(t *testing.T, c *Cluster) {
	from, to := c.Masters()[0], c.Masters()[1]
	moves, stays := c.ChannelOn(from, "moves"), c.ChannelOn(from, "stays")
	var subs []*rawClient
	for _, s := range []*Server{from, c.ReplicaOf(from)} {
		sub := dialRaw(t, s.Addr())
		sub.ask("SSUBSCRIBE "+moves, "ssubscribe "+moves+" 1")
		sub.ask("SSUBSCRIBE "+stays, "ssubscribe "+stays+" 2")
		subs = append(subs, sub)
	}

	c.MigrateSlotOf(moves, to)
	if got := c.OwnerOf(moves); got != to {
		t.Fatalf("the owner of %s is at %s, want %s", moves, got.Addr(), to.Addr())
	}
	dialRaw(t, from.Addr()).ask("SPUBLISH "+stays+" hello", "1")
	for _, sub := range subs {
		sub.want("sunsubscribe " + moves + " 1")
		sub.want("smessage " + stays + " hello")
		sub.ask("SSUBSCRIBE "+moves, movedTo(t, to, moves))
	}
	dialRaw(t, to.Addr()).ask("SSUBSCRIBE "+moves, "ssubscribe "+moves+" 1")
}

func testForgottenSlot(t *testing.T, c *Cluster) {
	owner := c.Masters()[0]
	channel := c.ChannelOn(owner, "forgotten")
	dialRaw(t, owner.Addr()).ask(fmt.Sprintf("CLUSTER DELSLOTS %d", c.slotOf(channel)), "OK")
	dialRaw(t, owner.Addr()).ask("SSUBSCRIBE "+channel, "CLUSTERDOWN Hash slot not served")
	c.WaitUntilHealthy()
	dialRaw(t, owner.Addr()).ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
}

func testFailover(t *testing.T, c *Cluster) {
	master := c.Masters()[0]
	replica := c.ReplicaOf(master)
	channel := c.ChannelOn(master, "news")
	atMaster, atReplica := dialRaw(t, master.Addr()), dialRaw(t, replica.Addr())
	atMaster.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
	atReplica.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")

	c.Failover(replica)
	if got := c.OwnerOf(channel); got != replica {
		t.Errorf("the owner of %s is at %s, want what was the replica, %s", channel, got.Addr(), replica.Addr())
	}
	if got := c.ReplicaOf(replica); got != master {
		t.Errorf("the replica is at %s, want what was the master, %s", got.Addr(), master.Addr())
	}
	atMaster.want("sunsubscribe " + channel + " 0")
	atReplica.wantFromNewOwner(channel, replica)
	// Now that it is a replica it may be asked again.
	atMaster.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
}

func testKillMasterOf(t *testing.T, c *Cluster) {
	master := c.Masters()[0]
	replica := c.ReplicaOf(master)
	channel := c.ChannelOn(master, "news")
	atMaster, atReplica := dialRaw(t, master.Addr()), dialRaw(t, replica.Addr())
	atMaster.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
	atReplica.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")

	if got := c.KillMasterOf(channel); got != master {
		t.Fatalf("the node at %s was killed, want %s", got.Addr(), master.Addr())
	}
	if got := c.OwnerOf(channel); got != replica {
		t.Fatalf("the owner of %s is at %s, want what was the replica, %s", channel, got.Addr(), replica.Addr())
	}
	atMaster.wantEnd(io.EOF)
	atReplica.wantFromNewOwner(channel, replica)

	master.Restart()
	c.WaitUntilHealthy()
	if got := c.ReplicaOf(replica); got != master {
		t.Errorf("the replica is at %s, want the restarted node, %s", got.Addr(), master.Addr())
	}
}

func testPauseMaster(t *testing.T, c *Cluster) {
	master := c.Masters()[0]
	replica := c.ReplicaOf(master)
	channel := c.ChannelOn(master, "news")
	sub := dialRaw(t, master.Addr())
	sub.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")

	master.Pause()
	c.WaitUntilHealthy()
	if got := c.OwnerOf(channel); got != replica {
		t.Errorf("the owner of %s is at %s, want what was the replica, %s", channel, got.Addr(), replica.Addr())
	}
	wantSilence(t, sub.conn)

	master.Resume()
	c.WaitUntilHealthy()
	if got := c.ReplicaOf(replica); got != master {
		t.Errorf("the replica is at %s, want the resumed node, %s", got.Addr(), master.Addr())
	}
	sub.want("sunsubscribe " + channel + " 0")
}

func testRemove(t *testing.T, c *Cluster) {
	master := c.Masters()[0]
	replica := c.ReplicaOf(master)
	channel := c.ChannelOn(master, "news")
	sub := dialRaw(t, master.Addr())
	sub.ask("SUBSCRIBE reports", "subscribe reports 1")
	sub.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")

	c.Remove(master)
	for _, nodes := range [][]*Server{c.Nodes(), c.Masters()} {
		if slices.Contains(nodes, master) {
			t.Error("the node is there still")
		}
	}
	if got := len(c.Masters()); got != 2 {
		t.Errorf("%d masters, want 2", got)
	}
	if v := c.view(); len(v) != 5 || v[c.node(replica).id].master == "-" {
		t.Errorf("nodes after one was removed, want 5, all replicas with a master: %v", v)
	}
	sub.want("sunsubscribe " + channel + " 0")
	sub.ask("SSUBSCRIBE "+channel, "CLUSTERDOWN Hash slot not served")
	// The node does not say that it was removed. Its subscribers receive nothing.
	dialRaw(t, c.Masters()[0].Addr()).ask("PUBLISH reports lost", "0")
	wantSilence(t, sub.conn)
	dialRaw(t, master.Addr()).ask("PUBLISH reports alone", "1")
	sub.want("message reports alone")

	late := c.ChannelOn(c.Masters()[0], "late")
	dialRaw(t, c.OwnerOf(late).Addr()).ask("SSUBSCRIBE "+late, "ssubscribe "+late+" 1")
}

func TestProxiedCluster(t *testing.T) {
	Long(t)
	c := StartProxiedCluster(t)
	client := c.Client()
	for i, master := range c.Masters() {
		proxy := c.Proxy(master)
		if got := c.Addrs()[i]; got != proxy.Addr() || got == master.Addr() {
			t.Errorf("address %d = %s, want that of the proxy, %s, and not of the node, %s", i, got, proxy.Addr(), master.Addr())
		}
		channel := c.ChannelOn(master, "news")
		sub := client.SSubscribe(t.Context(), channel)
		t.Cleanup(func() { _ = sub.Close() })
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		proxy.WaitAccepted(1)
	}

	// No client used the proxies, and the nodes need none.
	for _, n := range c.Nodes() {
		others := 0
		for _, line := range strings.Split(strings.TrimSpace(n.Client().ClientList(t.Context()).Val()), "\n") {
			fields := strings.Fields(line)
			if !slices.Contains(fields, "name="+adminName) && !slices.Contains(fields, "flags=S") &&
				!slices.Contains(fields, "flags=M") && !slices.Contains(fields, "cmd=client|list") {
				others++
			}
		}
		if got := c.Proxy(n).Conns(); got != others {
			t.Errorf("the proxy of the node at %s has %d connections, its node %d of clients", n.Addr(), got, others)
		}
	}

	// A fault of a proxy is one for clients alone.
	master := c.Masters()[0]
	proxy, channel := c.Proxy(master), c.ChannelOn(master, "news")
	sub := dialRaw(t, proxy.Addr())
	sub.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
	proxy.Refuse()
	proxy.Cut()
	sub.wantEnd(syscall.ECONNRESET)
	c.WaitUntilHealthy()
	wantRefused(t, proxy.Addr())
	proxy.Heal()

	// MOVED names the proxy, and the node that takes over has one as well.
	dialRaw(t, c.Proxy(c.Masters()[1]).Addr()).ask("SSUBSCRIBE "+channel, movedTo(t, proxy, channel))
	replica := c.ReplicaOf(master)
	c.KillMasterOf(channel)
	dialRaw(t, c.Proxy(replica).Addr()).ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
	master.Restart()
	c.WaitUntilHealthy()
	dialRaw(t, proxy.Addr()).ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
}

// movedTo returns what a node says of a channel that is elsewhere.
func movedTo(t *testing.T, owner interface{ Addr() string }, channel string) string {
	t.Helper()
	conn := dialRaw(t, owner.Addr())
	conn.send("CLUSTER KEYSLOT " + channel)
	slot, err := conn.reply()
	if err != nil {
		t.Fatal(err)
	}
	return "MOVED " + slot + " " + owner.Addr()
}

func wantRefused(t *testing.T, addr string) {
	t.Helper()
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial %s: %v, want %v", addr, err, syscall.ECONNREFUSED)
	}
}

func TestParseView(t *testing.T) {
	const id, other = "3ae70fec9924180d699ac3ba08ee60bcf1211eb7", "0297d3d2d43ab9ef2f13b90465054f58976b7e32"
	got, err := parseView(id + " 127.0.0.1:12325@22325,127.0.0.2 myself,master - 0 1 7 connected 5 10-1313 [9-<-" + other + "]\n" +
		other + " 127.0.0.1:17862@27862 slave " + id + " 0 1 8 disconnected\n")
	want := view{
		id:    {"127.0.0.1:12325@22325,127.0.0.2", []string{"myself", "master"}, "-", true, []slotRange{{5, 5}, {10, 1313}}},
		other: {"127.0.0.1:17862@27862", []string{"slave"}, id, false, nil},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("view = %v, %v, want %v", got, err, want)
	}
	if owner := got.owner(1313); owner != id {
		t.Errorf("owner of slot 1313 = %q, want %q", owner, id)
	}
	if owner := got.owner(9); owner != "" {
		t.Errorf("owner of slot 9 = %q, want none yet", owner)
	}
	for _, line := range []string{"too short\n", id + " 127.0.0.1:1@2 master - 0 1 7 connected x-y\n"} {
		if _, err := parseView(line); err == nil || !strings.Contains(err.Error(), line[:len(line)-1]) {
			t.Errorf("view of %q: %v, want an error with the line", line, err)
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"slices"
	"strings"
	"testing"
)

// One cluster serves all of these, in this order.
func TestBusProxiedCluster(t *testing.T) {
	Long(t)
	c := StartBusProxiedCluster(t)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *Cluster)
	}{
		{"isolate a master", testIsolateMaster},
		{"isolate a replica", testIsolateReplica},
		{"restart a node", testRestartBehindBusProxy},
		{"forget others", testForgetOthers}, // last: there is no way back
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, c) })
	}
}

func testIsolateMaster(t *testing.T, c *Cluster) {
	master, other := c.Masters()[0], c.Masters()[1]
	replica := c.ReplicaOf(master)
	channel := c.ChannelOn(master, "news")
	sub, atOther := dialRaw(t, master.Addr()), dialRaw(t, other.Addr())
	sub.ask("SUBSCRIBE reports", "subscribe reports 1")
	sub.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
	atOther.ask("SUBSCRIBE reports", "subscribe reports 1")
	dialRaw(t, other.Addr()).ask("PUBLISH reports before", "1")
	sub.want("message reports before")
	atOther.want("message reports before")

	c.Isolate(master)
	dialRaw(t, other.Addr()).ask("PUBLISH reports lost", "1")
	atOther.want("message reports lost")
	wantSilence(t, sub.conn)
	dialRaw(t, master.Addr()).ask("PUBLISH reports alone", "1")
	sub.want("message reports alone")
	wantSilence(t, atOther.conn)

	c.WaitUntilFailed(master)
	c.WaitUntilContested(channel, master)
	c.WaitUntilHealthy()
	c.WaitUntilDown(master)
	if got := c.OwnerOf(channel); got != replica {
		t.Errorf("the owner of %s is at %s, want the replica, %s", channel, got.Addr(), replica.Addr())
	}
	// The node vouches for itself to its clients.
	dialRaw(t, master.Addr()).ask("SPUBLISH "+channel+" stale", "1")
	sub.want("smessage " + channel + " stale")
	dialRaw(t, master.Addr()).ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
	dialRaw(t, other.Addr()).ask("SSUBSCRIBE "+channel, movedTo(t, replica, channel))

	c.Rejoin(master)
	if got := c.ReplicaOf(replica); got != master {
		t.Errorf("the replica is at %s, want what was the master, %s", got.Addr(), master.Addr())
	}
	sub.want("sunsubscribe " + channel + " 0")
	dialRaw(t, other.Addr()).ask("PUBLISH reports after", "1")
	sub.want("message reports after")
}

func testIsolateReplica(t *testing.T, c *Cluster) {
	master := c.Masters()[0]
	replica := c.ReplicaOf(master)
	sub := dialRaw(t, replica.Addr())
	sub.ask("SUBSCRIBE reports", "subscribe reports 1")
	c.Isolate(replica)
	c.WaitUntilHealthy() // no slot is without an owner
	dialRaw(t, master.Addr()).ask("PUBLISH reports lost", "0")
	wantSilence(t, sub.conn)
	c.WaitUntilFailed(replica)
	c.Rejoin(replica)
	dialRaw(t, master.Addr()).ask("PUBLISH reports after", "0")
	sub.want("message reports after")
}

// A node that was restarted is behind its proxy again.
func testRestartBehindBusProxy(t *testing.T, c *Cluster) {
	replica := c.ReplicaOf(c.Masters()[0])
	replica.Restart()
	c.WaitUntilHealthy()
	sub := dialRaw(t, replica.Addr())
	sub.ask("SUBSCRIBE reports", "subscribe reports 1")
	c.Isolate(replica)
	dialRaw(t, c.Masters()[1].Addr()).ask("PUBLISH reports lost", "0")
	wantSilence(t, sub.conn)
	c.Rejoin(replica)
}

func testForgetOthers(t *testing.T, c *Cluster) {
	master, other := c.Masters()[0], c.Masters()[1]
	replica := c.ReplicaOf(master)
	channel := c.ChannelOn(master, "news")
	sub := dialRaw(t, master.Addr())
	sub.ask("SUBSCRIBE reports", "subscribe reports 1")
	sub.ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")

	c.ForgetOthers(master)
	dialRaw(t, other.Addr()).ask("PUBLISH reports lost", "0")
	wantSilence(t, sub.conn)
	c.Takeover(replica)
	if got := c.OwnerOf(channel); got != replica {
		t.Errorf("the owner of %s is at %s, want the replica, %s", channel, got.Addr(), replica.Addr())
	}
	if slices.Contains(c.Masters(), master) {
		t.Error("the others still see the node as a master")
	}
	// It does not know, and says that all is well.
	n := c.node(master)
	if info := n.admin.ClusterInfo(t.Context()).Val(); !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:1\r") {
		t.Errorf("CLUSTER INFO of the node that is alone:\n%s", info)
	}
	dialRaw(t, master.Addr()).ask("SSUBSCRIBE "+channel, "ssubscribe "+channel+" 1")
	dialRaw(t, replica.Addr()).ask("SPUBLISH "+channel+" lost", "0")
	wantSilence(t, sub.conn)
}

// Without promotion, the slots of an isolated node have no other owner.
func TestBusProxiedClusterWithoutPromotion(t *testing.T) {
	Long(t)
	c := StartBusProxiedCluster(t, "--cluster-replica-no-failover", "yes")
	master, other := c.Masters()[0], c.Masters()[1]
	channel := c.ChannelOn(master, "news")
	c.Isolate(master)
	c.WaitUntilFailed(master)
	c.WaitUntilDown(master)
	dialRaw(t, other.Addr()).ask("SSUBSCRIBE "+channel, movedTo(t, master, channel))
	sub := dialRaw(t, master.Addr())
	sub.ask("SUBSCRIBE reports", "subscribe reports 1")
	dialRaw(t, other.Addr()).ask("PUBLISH reports lost", "0")
	wantSilence(t, sub.conn)
	c.Rejoin(master)
	dialRaw(t, other.Addr()).ask("PUBLISH reports after", "0")
	sub.want("message reports after")
}

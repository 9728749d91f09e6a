// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// startBusProxy starts the proxy in front of the bus port of a node, and announces its port.
func (c *Cluster) startBusProxy(n *node) {
	c.t.Helper()
	n.bus = NewProxy(c.t, net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port+busPortOffset)))
	_, port, err := net.SplitHostPort(n.bus.Addr())
	if err != nil {
		c.t.Fatalf("bus proxy: %v", err)
	}
	c.do(n, []any{"config", "set", "cluster-announce-bus-port", port})
	n.args = slices.Concat(n.args, []string{"--cluster-announce-bus-port", port}) // for a restart
}

// busPort returns the last argument of CLUSTER MEET, or nothing if it is the default.
func (n *node) busPort() []any {
	if n.bus == nil {
		return nil
	}
	_, port, _ := net.SplitHostPort(n.bus.Addr())
	return []any{port}
}

// Isolate cuts a node off from the bus: the other nodes do not reach it, and it does not reach
// them. Nobody is told, as if a network had lost all packets. Clients reach the node, and so
// does its replica, to copy its data. The cluster must have been started with proxies on the
// bus.
//
// Unlike other methods, Isolate does not wait. [Cluster.WaitUntilFailed] waits until the other
// nodes know that the node is gone, and [Cluster.WaitUntilHealthy] until its replica has taken
// over. Until Rejoin is called, the methods of the cluster see it as the other nodes do.
func (c *Cluster) Isolate(s *Server) {
	c.t.Helper()
	c.node(s).isolated = true
	c.setBus()
}

// Rejoin ends Isolate. A node whose replica has taken over becomes the replica of that one.
func (c *Cluster) Rejoin(s *Server) {
	c.t.Helper()
	c.node(s).isolated = false
	c.setBus()
	c.WaitUntilHealthy()
}

// setBus makes the proxies cut off the nodes that are isolated, and no others.
func (c *Cluster) setBus() {
	c.t.Helper()
	for _, to := range c.nodes {
		if to.bus == nil {
			c.t.Fatal("the cluster was started without proxies on the bus")
		}
		var cutOff, welcome []string
		for _, from := range c.nodes {
			switch {
			case from == to:
			case from.isolated || to.isolated:
				cutOff = append(cutOff, from.host)
			default:
				welcome = append(welcome, from.host)
			}
		}
		to.bus.BlackHoleFrom(cutOff...)
		to.bus.AcceptFrom(welcome...)
	}
}

// WaitUntilFailed returns when all other nodes that run, are not paused and are not isolated
// know that a node has failed.
func (c *Cluster) WaitUntilFailed(s *Server) {
	c.t.Helper()
	failed := c.node(s)
	waitFor(c.t, "failure of a node", func(ctx context.Context) error {
		for _, n := range c.answering() {
			if n == failed {
				continue
			}
			v, err := n.view(ctx)
			if err != nil {
				return err
			}
			if flags := v[failed.id].flags; !slices.Contains(flags, "fail") {
				return fmt.Errorf("for the node at %s it is %v", n.Addr(), flags)
			}
		}
		return nil
	})
}

// WaitUntilContested returns as soon as one of the other nodes knows another owner of the slot
// of a channel than the one given. From then on, a correct publisher may be at one or the other,
// until [Cluster.WaitUntilHealthy] returns.
func (c *Cluster) WaitUntilContested(channel string, owner *Server) {
	c.t.Helper()
	known, slot := c.node(owner), c.slotOf(channel)
	waitFor(c.t, "another owner of a slot", func(ctx context.Context) error {
		for _, n := range c.answering() {
			v, err := n.view(ctx)
			if err != nil {
				return err
			}
			if id := v.owner(slot); id != "" && id != known.id {
				return nil
			}
		}
		return errors.New("the owner is the same one for all of them")
	})
}

// WaitUntilDown returns when a node itself says that the cluster is down. A node that is
// isolated notices that after the node timeout.
func (c *Cluster) WaitUntilDown(s *Server) {
	c.t.Helper()
	n := c.node(s)
	waitFor(c.t, "cluster_state:fail", func(ctx context.Context) error {
		info, err := n.admin.ClusterInfo(ctx).Result()
		if err == nil && !strings.Contains(info, "cluster_state:fail") {
			err = errors.New("it is not")
		}
		return err
	})
}

// ForgetOthers makes a master forget all other nodes, which do not forget it. It is then the
// only node of a cluster of its own, which is up, and no message of another node gets through
// to it. There is no way back. The methods of the Cluster see it as the other nodes do.
func (c *Cluster) ForgetOthers(s *Server) {
	c.t.Helper()
	n := c.node(s)
	var forget [][]any
	for _, other := range c.nodes {
		if other != n {
			forget = append(forget, []any{"cluster", "forget", other.id})
		}
	}
	c.do(n, forget...)
	n.alone = true
}

// Takeover makes a replica the master, without the consent of its master and of the other
// nodes. It returns when the other nodes agree.
func (c *Cluster) Takeover(replica *Server) {
	c.t.Helper()
	c.do(c.node(replica), []any{"cluster", "failover", "takeover"})
	c.WaitUntilHealthy()
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"strconv"
)

// Nodes returns the nodes, without those that were removed: first those that were masters at
// the start, then their replicas in the same order. Each may be killed, restarted, paused and
// resumed.
func (c *Cluster) Nodes() []*Server {
	servers := make([]*Server, len(c.nodes))
	for i, n := range c.nodes {
		servers[i] = n.Server
	}
	return servers
}

// Masters returns the nodes that own slots now, in the order of Nodes.
func (c *Cluster) Masters() []*Server {
	c.t.Helper()
	var servers []*Server
	v := c.view()
	for _, n := range c.nodes {
		if len(v[n.id].slots) > 0 {
			servers = append(servers, n.Server)
		}
	}
	return servers
}

// ReplicaOf returns a replica of a master.
func (c *Cluster) ReplicaOf(master *Server) *Server {
	c.t.Helper()
	id := c.node(master).id
	v := c.view()
	for _, n := range c.nodes {
		if v[n.id].master == id {
			return n.Server
		}
	}
	c.t.Fatalf("the node at %s has no replica", master.Addr())
	return nil
}

// OwnerOf returns the master that owns the slot of a channel.
func (c *Cluster) OwnerOf(channel string) *Server {
	c.t.Helper()
	return c.ownerOf(channel).Server
}

// ChannelOn returns a channel that starts with prefix and whose slot the node owns. For the
// same prefix it returns the same channel, as long as no slot moves.
func (c *Cluster) ChannelOn(owner *Server, prefix string) string {
	c.t.Helper()
	id := c.node(owner).id
	v := c.view()
	for i := range 1000 {
		channel := prefix + strconv.Itoa(i)
		if v.owner(c.slotOf(channel)) == id {
			return channel
		}
	}
	c.t.Fatalf("no channel %s… is on the node at %s: does it own slots?", prefix, owner.Addr())
	return ""
}

func (c *Cluster) ownerOf(channel string) *node {
	c.t.Helper()
	slot := c.slotOf(channel)
	owner := c.view().owner(slot)
	for _, n := range c.nodes {
		if n.id == owner {
			return n
		}
	}
	c.t.Fatalf("no node owns slot %d of channel %q", slot, channel)
	return nil
}

// slotOf returns the slot of a channel, as a node computes it.
func (c *Cluster) slotOf(channel string) int {
	c.t.Helper()
	slot, err := c.answering()[0].admin.ClusterKeySlot(context.Background(), channel).Result()
	if err != nil {
		c.t.Fatalf("slot of channel %q: %v", channel, err)
	}
	return int(slot)
}

func (c *Cluster) node(s *Server) *node {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.Server == s {
			return n
		}
	}
	c.t.Fatalf("the server at %s is not a node of this cluster", s.Addr())
	return nil
}

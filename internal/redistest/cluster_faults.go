// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"errors"
	"slices"
	"time"
)

// MigrateSlotOf moves the slot of a channel to another master, like an operator does while
// clients use the slot. The slot must have no keys.
func (c *Cluster) MigrateSlotOf(channel string, to *Server) {
	c.t.Helper()
	c.migrate(c.ownerOf(channel), c.node(to), []int{c.slotOf(channel)})
	c.WaitUntilHealthy()
}

// MoveSlotsAway moves all slots of a master to the other masters, in equal parts. The slots must
// have no keys. The master stays a master.
func (c *Cluster) MoveSlotsAway(from *Server) {
	c.t.Helper()
	c.moveSlotsAway(c.node(from))
	c.WaitUntilHealthy()
}

// migrate moves slots. It sends the commands to all masters; replicas get the change from
// their masters.
func (c *Cluster) migrate(from, to *node, slots []int) {
	c.t.Helper()
	if from == to {
		return
	}
	var importing, migrating, owner [][]any
	for _, slot := range slots {
		importing = append(importing, []any{"cluster", "setslot", slot, "importing", from.id})
		migrating = append(migrating, []any{"cluster", "setslot", slot, "migrating", to.id})
		owner = append(owner, []any{"cluster", "setslot", slot, "node", to.id})
	}
	v := c.view()
	c.do(to, importing...)
	c.do(from, migrating...)
	c.do(to, owner...) // first, so that the slots always have an owner
	c.do(from, owner...)
	for _, n := range c.answering() {
		if n != from && n != to && v[n.id].master == "-" {
			c.do(n, owner...)
		}
	}
}

// Failover makes a replica the master, and its master the replica, like an operator does.
// Both run, and no write is lost.
func (c *Cluster) Failover(replica *Server) {
	c.t.Helper()
	n := c.node(replica)
	var started time.Time
	waitFor(c.t, "failover", func(ctx context.Context) error {
		v, err := n.view(ctx)
		if err != nil {
			return err
		}
		if slices.Contains(v[n.id].flags, "master") {
			return nil
		}
		// The server aborts a failover after five seconds, without a reply.
		if time.Since(started) > 6*time.Second {
			started = time.Now()
			if err := n.admin.ClusterFailover(ctx).Err(); err != nil {
				return err
			}
		}
		return errors.New("it is still a replica")
	})
	c.WaitUntilHealthy()
}

// KillMasterOf kills the master that owns the slot of a channel. It returns the master, when
// its replica has taken over. If the master is restarted, it is a replica of the new one.
func (c *Cluster) KillMasterOf(channel string) *Server {
	c.t.Helper()
	master := c.ownerOf(channel)
	master.Kill()
	c.WaitUntilHealthy() // each slot has an owner that runs
	return master.Server
}

// Remove removes a node from the cluster, like an operator does before shutting it down. The
// other masters get its slots, in equal parts, and its replicas, and forget it. The server
// keeps running, and its clients get no notice.
func (c *Cluster) Remove(s *Server) {
	c.t.Helper()
	removed := c.node(s)
	c.moveSlotsAway(removed)
	c.moveReplicasAway(removed)

	c.nodes = slices.DeleteFunc(c.nodes, func(n *node) bool { return n == removed })
	for _, n := range c.nodes {
		c.do(n, []any{"cluster", "forget", removed.id})
	}
	c.do(removed, []any{"cluster", "reset", "soft"})
	c.WaitUntilHealthy()
}

func (c *Cluster) moveSlotsAway(from *node) {
	c.t.Helper()
	v := c.view()
	var all []int
	for _, r := range v[from.id].slots {
		for slot := r.first; slot <= r.last; slot++ {
			all = append(all, slot)
		}
	}
	if len(all) == 0 {
		return
	}
	others := c.otherMasters(from)
	share := (len(all) + len(others) - 1) / len(others)
	for i, part := range slices.Collect(slices.Chunk(all, share)) {
		c.migrate(from, others[i], part)
	}
}

// moveReplicasAway moves the replicas of a node to another master.
func (c *Cluster) moveReplicasAway(from *node) {
	c.t.Helper()
	v := c.view()
	to := c.otherMasters(from)[0]
	for _, n := range c.nodes {
		if v[n.id].master == from.id {
			c.do(n, []any{"cluster", "replicate", to.id})
		}
	}
}

// otherMasters returns the masters with slots, except one.
func (c *Cluster) otherMasters(than *node) []*node {
	c.t.Helper()
	var others []*node
	for _, master := range c.Masters() {
		if n := c.node(master); n != than {
			others = append(others, n)
		}
	}
	if len(others) == 0 {
		c.t.Fatalf("the node at %s is the only master", than.Addr())
	}
	return others
}

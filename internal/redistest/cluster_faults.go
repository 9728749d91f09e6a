// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"errors"
	"slices"
	"time"
)

// MigrateSlotOf moves the slot of a channel to another master, as an operator
// does it while clients use the slot. It must hold no keys.
func (c *Cluster) MigrateSlotOf(channel string, to *Server) {
	c.t.Helper()
	c.migrate(c.ownerOf(channel), c.node(to), []int{c.slotOf(channel)})
	c.WaitUntilHealthy()
}

// migrate tells all masters, and leaves it to them to tell the rest.
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
	c.do(to, owner...) // first: should all end here, the slots have an owner
	c.do(from, owner...)
	for _, n := range c.answering() {
		if n != from && n != to && v[n.id].master == "-" {
			c.do(n, owner...)
		}
	}
}

// Failover makes a replica the master, and its master the replica, as an
// operator does it: both run, and no write is lost.
func (c *Cluster) Failover(replica *Server) {
	c.t.Helper()
	n := c.node(replica)
	var asked time.Time
	waitFor(c.t, "failover", func(ctx context.Context) error {
		v, err := n.view(ctx)
		if err != nil {
			return err
		}
		if slices.Contains(v[n.id].flags, "master") {
			return nil
		}
		// The server gives up after five seconds and does not say so.
		if time.Since(asked) > 6*time.Second {
			asked = time.Now()
			if err := n.admin.ClusterFailover(ctx).Err(); err != nil {
				return err
			}
		}
		return errors.New("it is a replica still")
	})
	c.WaitUntilHealthy()
}

// KillMasterOf kills the master that owns the slot of a channel, and returns it
// when its replica has taken over. Restarted, it is a replica of that one.
func (c *Cluster) KillMasterOf(channel string) *Server {
	c.t.Helper()
	master := c.ownerOf(channel)
	master.Kill()
	c.WaitUntilHealthy() // each slot has an owner that runs
	return master.Server
}

// Remove takes a node out of the cluster, as an operator does it before turning
// it off: the other masters get its slots in equal parts and its replicas, and
// forget it. The server runs on, alone: clients that do not look where it
// belongs hear nothing of that.
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

// moveReplicasAway gives the replicas of a node to another master.
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

// otherMasters returns the masters with slots, less one.
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

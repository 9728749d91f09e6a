// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"fmt"
	"slices"
)

// repair assigns slots again that their master has forgotten, while all other nodes know that
// it owns them. Before version 7.2.4, Redis sometimes loses a migrated slot like that, when
// its new master fails and comes back as a replica (redis/redis#12564). Only an operator can
// repair that.
func (c *Cluster) repair(ctx context.Context) error {
	answering := c.answering()
	views := make(map[*node]view)
	for _, n := range answering {
		v, err := n.view(ctx)
		if err != nil {
			return err
		}
		views[n] = v
	}
	for _, n := range answering {
		for _, slot := range views[n].unassigned() {
			known := func(other *node) bool { return other == n || views[other].owner(slot) == n.id }
			if len(answering) == 1 || slices.ContainsFunc(answering, func(o *node) bool { return !known(o) }) {
				break // the node does not own it: the cluster is being formed
			}
			if err := n.admin.ClusterAddSlots(ctx, slot).Err(); err != nil {
				return fmt.Errorf("node at %s: %w", n.Addr(), err)
			}
			c.t.Logf("the node at %s had forgotten its slot %d", n.Addr(), slot)
		}
	}
	return nil
}

// unassigned returns the slots that no node owns.
func (v view) unassigned() []int {
	var owned [slots]bool
	for _, n := range v {
		for _, r := range n.slots {
			for slot := r.first; slot <= r.last; slot++ {
				owned[slot] = true
			}
		}
	}
	var none []int
	for slot, is := range owned {
		if !is {
			none = append(none, slot)
		}
	}
	return none
}

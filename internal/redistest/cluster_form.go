// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"errors"
	"slices"
)

// form makes a cluster of new nodes, with the commands that an operator sends. It does not
// wait until the cluster is healthy.
func (c *Cluster) form() {
	c.t.Helper()
	for i, n := range c.nodes {
		// Nodes with the same epoch would first have to resolve that conflict.
		c.do(n, []any{"cluster", "set-config-epoch", i + 1})
		if i < masters {
			c.do(n, []any{"cluster", "addslotsrange", i * slots / masters, (i+1)*slots/masters - 1})
		}
	}
	// One CLUSTER MEET for each node would be enough, but gossip is slow.
	for i, n := range c.nodes {
		for _, other := range c.nodes[i+1:] {
			c.do(n, slices.Concat([]any{"cluster", "meet", "127.0.0.1", other.port}, other.busPort()))
		}
	}
	for i, master := range c.nodes[:masters] {
		replica := c.nodes[masters+i]
		waitFor(c.t, "make a node a replica", func(ctx context.Context) error {
			v, err := replica.view(ctx)
			if err != nil {
				return err
			}
			if _, known := v[master.id]; !known {
				return errors.New("it does not know its master yet")
			}
			return replica.admin.ClusterReplicate(ctx, master.id).Err()
		})
	}
}

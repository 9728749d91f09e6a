// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// view is the cluster as one of its nodes sees it: the nodes by their ids.
type view map[string]seen

// seen is a node as a node of the cluster sees it.
type seen struct {
	address string // with the host name, if the node announces one
	flags   []string
	master  string // the id of its master; "-" if it is no replica
	linked  bool
	slots   []slotRange
}

type slotRange struct{ first, last int }

// parseView parses the reply of CLUSTER NODES. A line of it is
//
//	id ip:port@cport[,hostname] flag,… master ping-sent pong-recv epoch link-state slot first-last …
//
// Slots that are being migrated follow at the end, in brackets.
func parseView(nodes string) (view, error) {
	v := make(view)
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 8 {
			return nil, fmt.Errorf("unexpected line of CLUSTER NODES: %q", line)
		}
		n := seen{address: f[1], flags: strings.Split(f[2], ","), master: f[3], linked: f[7] == "connected"}
		for _, s := range f[8:] {
			if strings.HasPrefix(s, "[") {
				continue
			}
			first, last, isRange := strings.Cut(s, "-")
			if !isRange {
				last = first
			}
			var r slotRange
			var errFirst, errLast error
			r.first, errFirst = strconv.Atoi(first)
			r.last, errLast = strconv.Atoi(last)
			if err := errors.Join(errFirst, errLast); err != nil {
				return nil, fmt.Errorf("unexpected line of CLUSTER NODES: %q: %w", line, err)
			}
			n.slots = append(n.slots, r)
		}
		v[f[0]] = n
	}
	return v, nil
}

// owner returns the id of the node that owns a slot.
func (v view) owner(slot int) string {
	for id, n := range v {
		for _, r := range n.slots {
			if r.first <= slot && slot <= r.last {
				return id
			}
		}
	}
	return ""
}

// roles returns the masters and the slots of all nodes, as a text to compare.
func (v view) roles(ids []string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "%s: replica of %s, owner of %v\n", id, v[id].master, v[id].slots)
	}
	return b.String()
}

// view returns the cluster as n sees it.
func (n *node) view(ctx context.Context) (view, error) {
	nodes, err := n.admin.ClusterNodes(ctx).Result()
	if err != nil {
		return nil, err
	}
	return parseView(nodes)
}

// view returns the cluster as one of the nodes sees it.
func (c *Cluster) view() view {
	c.t.Helper()
	n := c.answering()[0]
	v, err := n.view(context.Background())
	if err != nil {
		c.t.Fatalf("CLUSTER NODES of the node at %s: %v", n.Addr(), err)
	}
	return v
}

// WaitUntilHealthy returns when all nodes that run and are not paused see the same cluster:
// each node is a master or an up-to-date replica, the nodes are connected to each other,
// each slot has an owner, and removed nodes are forgotten. Call it after a method of a
// [Server] has killed, restarted, paused or resumed a node.
func (c *Cluster) WaitUntilHealthy() {
	c.t.Helper()
	waitFor(c.t, "cluster", func(ctx context.Context) error {
		err := c.ailment(ctx)
		if err == nil {
			return nil
		}
		return errors.Join(err, c.repair(ctx))
	})
}

// ailment returns an error that says why the cluster is not healthy, or nil.
func (c *Cluster) ailment(ctx context.Context) error {
	answering := c.answering()
	var ids []string
	for _, n := range answering {
		ids = append(ids, n.id)
	}
	var roles string
	for i, n := range answering {
		v, err := c.viewIfHealthy(ctx, n, answering)
		if err != nil {
			return fmt.Errorf("node at %s: %w", n.Addr(), err)
		}
		switch got := v.roles(ids); {
		case i == 0:
			roles = got
		case got != roles:
			return fmt.Errorf("nodes at %s and %s do not agree:\n%s\n%s", answering[0].Addr(), n.Addr(), roles, got)
		}
	}
	return nil
}

// viewIfHealthy returns the view of a node if the cluster is healthy in it.
func (c *Cluster) viewIfHealthy(ctx context.Context, n *node, answering []*node) (view, error) {
	var state, nodes, replication *redis.StringCmd
	if _, err := n.admin.Pipelined(ctx, func(p redis.Pipeliner) error {
		state, nodes, replication = p.ClusterInfo(ctx), p.ClusterNodes(ctx), p.Info(ctx, "replication")
		return nil
	}); err != nil {
		return nil, err
	}
	v, err := parseView(nodes.Val())
	if err != nil {
		return nil, err
	}
	if !strings.Contains(state.Val(), "cluster_state:ok") {
		return nil, errors.New("cluster_state is not ok")
	}
	if strings.Contains(replication.Val(), "role:slave") && !strings.Contains(replication.Val(), "master_link_status:up") {
		return nil, errors.New("the replica has not caught up with its master")
	}
	owned := 0
	for _, other := range answering {
		o, known := v[other.id]
		switch {
		case !known:
			return nil, fmt.Errorf("it does not know the one at %s", other.Addr())
		case !o.linked:
			return nil, fmt.Errorf("it is not connected to the one at %s", other.Addr())
		case slices.ContainsFunc(o.flags, func(f string) bool { return f == "fail" || f == "fail?" || f == "handshake" }):
			return nil, fmt.Errorf("the one at %s is %v", other.Addr(), o.flags)
		case other.proxy != nil && !strings.HasSuffix(o.address, ","+proxyHost):
			return nil, fmt.Errorf("it does not know the proxy of the one at %s", other.Addr())
		}
		for _, r := range o.slots {
			owned += r.last - r.first + 1
		}
	}
	if owned != slots {
		return nil, fmt.Errorf("%d of %d slots have an owner that runs:\n%s", owned, slots, nodes.Val())
	}
	for id := range maps.Keys(v) {
		if !slices.ContainsFunc(c.nodes, func(n *node) bool { return n.id == id }) {
			return nil, fmt.Errorf("it knows an unexpected node, %s at %s", id, v[id].address)
		}
	}
	return v, nil
}

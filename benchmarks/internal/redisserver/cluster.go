// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

const slots = 16384

// Cluster is a Redis Cluster of masters that share the slots, without replicas.
type Cluster struct {
	servers []*Server
}

// StartCluster starts a cluster and returns when all of its nodes report that it is up. The
// caller must stop it.
func StartCluster(ctx context.Context, masters int) (*Cluster, error) {
	c := new(Cluster)
	for range masters {
		s, err := Start(ctx, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
		if err != nil {
			return nil, errors.Join(err, c.Stop())
		}
		c.servers = append(c.servers, s)
	}
	if err := c.form(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("form a cluster: %w", err), c.Stop())
	}
	return c, nil
}

func (c *Cluster) form(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var nodes []*redis.Client
	for i, s := range c.servers {
		node := redis.NewClient(&redis.Options{Addr: s.addr})
		defer node.Close()
		nodes = append(nodes, node)
		first, last := i*slots/len(c.servers), (i+1)*slots/len(c.servers)-1
		if err := node.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			return err
		}
		if err := node.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			return err
		}
	}
	for _, s := range c.servers[1:] {
		host, port, _ := net.SplitHostPort(s.addr)
		if err := nodes[0].ClusterMeet(ctx, host, port).Err(); err != nil {
			return err
		}
	}
	for _, node := range nodes {
		if err := poll(ctx, func() error { return c.complete(ctx, node) }); err != nil {
			return err
		}
	}
	return nil
}

// complete returns an error as long as a node does not know all others and all slots.
func (c *Cluster) complete(ctx context.Context, node *redis.Client) error {
	all, err := node.ClusterShards(ctx).Result()
	if err != nil {
		return err
	}
	served := int64(0)
	for _, shard := range all {
		for _, r := range shard.Slots {
			served += r.End - r.Start + 1
		}
	}
	if served != slots || len(all) != len(c.servers) {
		return fmt.Errorf("a node knows %d slots of %d nodes", served, len(all))
	}
	info, err := node.ClusterInfo(ctx).Result()
	if err == nil && !containsLine(info, "cluster_state:ok") {
		err = errors.New("a node reports that the cluster is not up")
	}
	return err
}

// Addrs returns the addresses of the nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, s := range c.servers {
		addrs = append(addrs, s.addr)
	}
	return addrs
}

// PIDs returns the process IDs of the nodes.
func (c *Cluster) PIDs() []int {
	var pids []int
	for _, s := range c.servers {
		pids = append(pids, s.PID())
	}
	return pids
}

// Stop ends all nodes.
func (c *Cluster) Stop() (failed error) {
	for _, s := range c.servers {
		failed = errors.Join(failed, s.Stop())
	}
	return failed
}

func containsLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSpace(l) == line {
			return true
		}
	}
	return false
}

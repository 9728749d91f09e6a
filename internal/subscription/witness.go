// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// The nodes of a cluster are verified by the word of others: the witnesses.

// maxWitnesses is how many nodes that are not in use are asked for their opinion.
const maxWitnesses = 5

// verify asks the nodes in use, and some others, for their opinion of the cluster. If they
// refuse, the opinion of the client counts.
func (c *cluster) verify(ctx context.Context, uses []use) map[use]finding {
	began := time.Now()
	known := c.nodes(ctx)
	if len(known) == 0 {
		return nil // the client has asked a node that was removed; it asks another one next
	}
	seen := c.see(known)
	used := make(map[*redis.Client]bool)
	for _, u := range uses {
		if node, ok := u.client.(*redis.Client); ok {
			used[node] = true
		}
	}
	c.mu.Lock()
	for _, node := range c.deaf {
		used[node] = true
	}
	c.mu.Unlock()
	ask := slices.Collect(maps.Keys(used))
	others := slices.DeleteFunc(seen, func(node *redis.Client) bool { return used[node] })
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	all, noCluster := c.opinions(ctx, append(ask, others[:min(len(others), maxWitnesses)]...))

	deaf, refused := c.note(all, noCluster)
	c.noteMasters(ctx, uses, all, deaf, began)
	verdicts := make(map[use]finding)
	for _, u := range uses {
		node, _ := u.client.(*redis.Client)
		switch o := all[node]; {
		case refused || noCluster[node]:
			verdicts[u] = finding{verdict: c.clientVerdict(ctx, u, known)}
		case o == nil: // it does not answer
		default:
			about := witnesses(node, all, deaf)
			verdict := o.hears(about)
			if u.spread {
				verdict = o.owns(about)
			}
			verdicts[u] = finding{verdict, o.age(about)}
		}
	}
	return verdicts
}

// see returns the nodes to ask: those that the client knows now, and those that it knew before.
// If it has asked a node that knows no other, it knows only that one.
func (c *cluster) see(known []*redis.Client) []*redis.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(known)
	for _, node := range c.seen {
		if !slices.Contains(all, node) {
			all = append(all, node)
		}
	}
	if len(known) > 1 {
		c.seen = known
	}
	return all
}

// note notes which nodes do not get the messages of others, and which of them own no slots. It
// returns the first, and whether all nodes have refused to answer, now or when they last did.
func (c *cluster) note(all map[*redis.Client]*opinion, noCluster map[*redis.Client]bool) (deaf []*redis.Client, refused bool) {
	var avoid []*redis.Client
	for node, o := range all {
		about := witnesses(node, all, nil)
		if o.hears(about) != wrong {
			continue
		}
		deaf = append(deaf, node)
		if o.owns(about) == wrong {
			avoid = append(avoid, node)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf, c.avoid = deaf, avoid
	if len(all)+len(noCluster) > 0 {
		c.refused = len(all) == 0
	}
	return deaf, c.refused
}

// witnesses returns the opinions that count about a node: those of others that report that the
// cluster works, and that are not deaf. If none does, as when slots are without an owner, all
// others count.
func witnesses(about *redis.Client, all map[*redis.Client]*opinion, deaf []*redis.Client) []*opinion {
	others := func(working bool) (others []*opinion) {
		for node, o := range all {
			if node != about && !slices.Contains(deaf, node) && (o.ok || !working) {
				others = append(others, o)
			}
		}
		return others
	}
	if working := others(true); len(working) > 0 {
		return working
	}
	return others(false)
}

// clientVerdict returns the verdict that follows from what the client has loaded.
func (c *cluster) clientVerdict(ctx context.Context, u use, known []*redis.Client) verdict {
	node, _ := u.client.(*redis.Client)
	var owners []*redis.Client
	var err error
	if u.spread && u.topic == "" {
		owners, err = c.masters.get(ctx, c)
	} else {
		key := u.topic
		if key == "" {
			c.mu.Lock()
			key = c.key
			c.mu.Unlock()
		}
		owners = make([]*redis.Client, 1)
		owners[0], err = c.client.MasterForKey(ctx, key)
	}
	switch {
	case err != nil:
		return unknown
	case slices.Contains(known, node) && slices.Contains(owners, node):
		return right
	}
	return wrong
}

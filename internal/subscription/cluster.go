// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterClient has the methods of a *redis.ClusterClient that find nodes.
type clusterClient interface {
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
	ReloadState(ctx context.Context)
	ForEachMaster(ctx context.Context, fn func(ctx context.Context, master *redis.Client) error) error
	ForEachShard(ctx context.Context, fn func(ctx context.Context, shard *redis.Client) error) error
}

// cluster is the topology of a cluster. Each sharded channel is on the master of its slot, and
// topics of keyspace notifications are on all masters. All other topics are on one node, since
// nodes forward these messages to each other.
type cluster struct {
	client  clusterClient
	calls   calls
	masters masters

	mu    sync.Mutex
	node  *redis.Client   // the node for all other topics; nil: not chosen yet
	key   string          // of which node is the master, or was when it was chosen
	owner *redis.Client   // of key at the last call of hint
	seen  []*redis.Client // the nodes at the last call of verify
	deaf  []*redis.Client // those that do not get the messages of others
	avoid []*redis.Client // those of them that own no slots any more

	refused bool // all nodes have refused to say anything about a cluster
}

func (c *cluster) cluster() *cluster { return c }

// errAvoided means that the client names an owner which no other node knows.
var errAvoided = errors.New("tracedpubsub: the owner of the channel is not connected to the other nodes of its cluster")

func (c *cluster) owners(ctx context.Context, k Kind, name string) (owners []*redis.Client, err error) {
	if c.reach(k, name)&onAll != 0 {
		return c.allMasters(ctx)
	}
	master, err := c.client.MasterForKey(canceled, name) // without I/O, if the client knows the slots
	if err != nil {
		master, err = callOf(ctx, &c.calls, func() (*redis.Client, error) { return c.client.MasterForKey(ctx, name) })
	}
	if err == nil && c.isAmong(&c.avoid, master) {
		// The client has asked that node itself. It asks any other the next time.
		c.reload(ctx)
		err = errAvoided
	}
	return []*redis.Client{master}, err
}

func (c *cluster) isAmong(nodes *[]*redis.Client, node *redis.Client) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(*nodes, node)
}

// maxAttempts is how often shared tries to choose a node that gets the messages of the others.
const maxAttempts = 20

// shared returns a master chosen at random, and the same one until leave is called. Another
// one may deliver some messages a second time, since nodes forward messages with a delay.
func (c *cluster) shared(ctx context.Context) (endpoint, error) {
	c.mu.Lock()
	node := c.node
	c.mu.Unlock()
	var key string
	for attempt := 0; node == nil; attempt++ {
		key = strconv.Itoa(rand.Int())
		owners, err := c.owners(ctx, Channels, key)
		if err != nil {
			return endpoint{}, err
		}
		// A slot may have no better owner. Another key probably has another one.
		if attempt >= maxAttempts || !c.isAmong(&c.deaf, owners[0]) {
			node = owners[0]
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.node == nil {
		c.node, c.key, c.owner = node, key, node
	}
	return endpoint{client: c.node}, nil
}

func (c *cluster) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node = nil
}

// reload makes the client reload the slots. It does not wait.
func (c *cluster) reload(ctx context.Context) { c.client.ReloadState(ctx) }

// closed reports whether all nodes are closed. The client of a single node is closed when the
// node is removed.
func (c *cluster) closed(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	closed, err := callOf(ctx, &c.calls, func() (bool, error) {
		var open, asked atomic.Bool
		err := c.client.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
			asked.Store(true)
			if !isClosed(node) {
				open.Store(true)
			}
			return nil
		})
		return !open.Load() && (err == nil && asked.Load() || errors.Is(err, redis.ErrClosed)), nil
	})
	return closed && err == nil
}

// hint reports whether the node for all other topics is no longer the master that it was, in
// the opinion that the client has last got of the cluster.
func (c *cluster) hint() bool {
	c.mu.Lock()
	key := cmp.Or(c.key, "any") // with Sentinels, one node has all slots
	c.mu.Unlock()
	owner, err := c.client.MasterForKey(canceled, key) // it is known: no I/O
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.owner
	c.owner = owner
	return known != nil && known != owner
}

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
func witnesses(about *redis.Client, all map[*redis.Client]*opinion, deaf []*redis.Client) (others []*opinion) {
	for node, o := range all {
		if node != about && o.ok && !slices.Contains(deaf, node) {
			others = append(others, o)
		}
	}
	if len(others) > 0 {
		return others
	}
	for node, o := range all {
		if node != about && !slices.Contains(deaf, node) {
			others = append(others, o)
		}
	}
	return others
}

// clientVerdict returns the verdict that follows from what the client has loaded.
func (c *cluster) clientVerdict(ctx context.Context, u use, known []*redis.Client) verdict {
	node, _ := u.client.(*redis.Client)
	var owners []*redis.Client
	var err error
	if u.spread && u.topic == "" {
		owners, err = c.masters.get(ctx, c.client)
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

// nodes makes the client load the nodes of the cluster, and returns them. It returns none if
// the cluster does not answer.
func (c *cluster) nodes(ctx context.Context) []*redis.Client {
	nodes, err := callOf(ctx, &c.calls, func() (nodes []*redis.Client, err error) {
		var mu sync.Mutex
		err = c.client.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			nodes = append(nodes, node)
			return nil
		})
		return nodes, err
	})
	if err != nil {
		return nil
	}
	return nodes
}

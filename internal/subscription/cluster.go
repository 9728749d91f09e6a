// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

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

// nodes makes the client load the nodes of the cluster, and returns them. It returns none if
// the cluster does not answer.
func (c *cluster) nodes(ctx context.Context) []*redis.Client {
	nodes, err := c.collect(ctx, c.client.ForEachShard)
	if err != nil {
		return nil
	}
	return nodes
}

// collect returns the nodes with which each calls a function.
func (c *cluster) collect(ctx context.Context, each func(context.Context, func(context.Context, *redis.Client) error) error) ([]*redis.Client, error) {
	return callOf(ctx, &c.calls, func() (nodes []*redis.Client, err error) {
		var mu sync.Mutex
		err = each(ctx, func(_ context.Context, node *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			nodes = append(nodes, node)
			return nil
		})
		return nodes, err
	})
}

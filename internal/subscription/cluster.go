// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterClient is what tells the nodes of a *redis.ClusterClient.
type clusterClient interface {
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
	ReloadState(ctx context.Context)
	ForEachShard(ctx context.Context, fn func(ctx context.Context, shard *redis.Client) error) error
}

// cluster has each sharded channel on the master of its slot. All other topics are on any
// one node, as nodes pass these messages on to each other.
type cluster struct {
	client clusterClient
	node   atomic.Pointer[redis.Client] // the one; nil: it is to be chosen
}

func (*cluster) spreads(k Kind) bool { return k == ShardChannels }
func (c *cluster) cluster() *cluster { return c }

func (c *cluster) owners(ctx context.Context, _ Kind, name string) ([]*redis.Client, error) {
	master, err := c.client.MasterForKey(ctx, name)
	return []*redis.Client{master}, err
}

// shared returns a master. It changes it only if it must: nodes pass messages on with a
// delay, so that another one may bring some of them a second time.
func (c *cluster) shared(ctx context.Context) (Subscriber, error) {
	if node := c.node.Load(); node != nil {
		return node, nil
	}
	node, err := c.client.MasterForKey(ctx, strconv.Itoa(rand.Int()))
	if err != nil {
		return nil, err
	}
	c.node.Store(node)
	return node, nil
}

func (c *cluster) leave() { c.node.Store(nil) }

// reload has the client ask for the slots again, without waiting for it.
func (c *cluster) reload(ctx context.Context) { c.client.ReloadState(ctx) }

// stale tells what checkMembers has found. Otherwise a node tells when a slot goes.
func (c *cluster) stale(p *placing) (stale bool, since time.Time) {
	stale, p.suspected = p.suspected, false
	return stale, p.reconciled
}

// memberInterval is how often a cluster is asked for its nodes: one that was removed goes
// on answering, and gets no messages.
const memberInterval = 10 * time.Second

// memberCheck is about checkMembers. It is part of the state.
type memberCheck struct {
	running bool      // the cluster has not answered yet
	due     time.Time // for the next one
}

// soon has the cluster asked soon: a server came into use. What a check that is under way
// finds may be from before.
func (m *memberCheck) soon() { m.due = time.Time{} }

// begin reports whether to ask now.
func (m *memberCheck) begin() bool {
	if m.running || time.Now().Before(m.due) {
		return false
	}
	m.running, m.due = true, time.Now().Add(memberInterval)
	return true
}

func (m *memberCheck) end(answered bool) {
	m.running = false
	if !answered {
		m.due = time.Time{}
	}
}

// checkMembers asks the cluster, now and then, for what its nodes do not say by
// themselves: that one was removed, or that another one is the master of a slot.
func (s *Subscription) checkMembers(c *cluster) {
	begin := false
	s.update(func(st *state) { begin = !st.closed && st.members.begin() })
	if !begin {
		return
	}
	go func() {
		began := time.Now()
		nodes := c.nodes(s.ctx)
		owners := s.someOwners(c)
		s.update(func(st *state) {
			// A node that was removed may have been asked, and knows of no others. Another
			// one is asked soon.
			if len(nodes) > 0 {
				st.compare(nodes, owners, began)
			}
			st.members.end(len(nodes) > 0)
		})
	}()
}

// nodes returns the nodes as the cluster sees them now; nil if it does not answer.
func (c *cluster) nodes(ctx context.Context) map[Subscriber]bool {
	var mu sync.Mutex
	nodes := make(map[Subscriber]bool)
	if err := c.client.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		nodes[node] = true
		return nil
	}); err != nil {
		return nil
	}
	return nodes
}

// someOwners returns the owner of one topic of each shard, where it is known.
func (s *Subscription) someOwners(c *cluster) map[*shard]*redis.Client {
	names := make(map[*shard]string)
	s.update(func(st *state) {
		for _, sh := range st.shards {
			for name := range sh.topics[ShardChannels] {
				names[sh] = name
				break
			}
		}
	})
	owners := make(map[*shard]*redis.Client)
	for sh, name := range names {
		if owner, err := c.client.MasterForKey(s.ctx, name); err == nil {
			owners[sh] = owner
		}
	}
	return owners
}

// compare closes connections to servers that are none of nodes, which were the nodes at
// some time after began, and has topics reconciled that are owned by another one.
func (st *state) compare(nodes map[Subscriber]bool, owners map[*shard]*redis.Client, began time.Time) {
	for _, sh := range st.shards {
		switch conn := sh.conn; {
		case conn == nil, conn.evidence.opened.After(began): // nothing was asked about it
		case !nodes[conn.server]:
			conn.close(ErrRemoved)
		default:
			conn.evidence.lastMember = began
			owner, known := owners[sh]
			sh.placing.suspected = known && sh.spread && owner != sh.client
		}
	}
}

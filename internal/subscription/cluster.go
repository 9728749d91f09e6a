// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"math/rand/v2"
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
	ForEachShard(ctx context.Context, fn func(ctx context.Context, shard *redis.Client) error) error
}

// cluster is the topology of a cluster. Each sharded channel is on the master of its slot.
// All other topics are on one node, since nodes forward these messages to each other.
type cluster struct {
	client clusterClient
	node   atomic.Pointer[redis.Client] // the node for all other topics; nil: not chosen yet
}

func (*cluster) spreads(k Kind) bool { return k == ShardChannels }
func (c *cluster) cluster() *cluster { return c }

func (c *cluster) owners(ctx context.Context, _ Kind, name string) ([]*redis.Client, error) {
	master, err := c.client.MasterForKey(ctx, name)
	return []*redis.Client{master}, err
}

// shared returns a master chosen at random, and the same one until leave is called. Another
// one may deliver some messages a second time, since nodes forward messages with a delay.
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

// reload makes the client reload the slots. It does not wait.
func (c *cluster) reload(ctx context.Context) { c.client.ReloadState(ctx) }

// closed reports whether all nodes are closed. The client of a single node is closed when the
// node is removed.
func (c *cluster) closed(ctx context.Context) bool {
	var open atomic.Bool
	err := c.client.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
		if !errors.Is(node.Ping(ctx).Err(), redis.ErrClosed) {
			open.Store(true)
		}
		return nil
	})
	return !open.Load() && (err == nil || errors.Is(err, redis.ErrClosed))
}

// stale reports what checkMembers has found. Any other move of a slot shows in a reply of
// the node.
func (c *cluster) stale(p *placing) (stale bool, since time.Time) {
	stale, p.suspected = p.suspected, false
	return stale, p.reconciled
}

// memberInterval is the interval of checkMembers.
const memberInterval = 10 * time.Second

// memberCheck schedules checkMembers. It is part of the state.
type memberCheck struct {
	running bool      // a check runs
	due     time.Time // when the next check is due
}

// soon makes the next check due, because a server has come into use. A check that runs may
// not see that server yet.
func (m *memberCheck) soon() { m.due = time.Time{} }

// begin reports whether to start a check now.
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

// checkMembers loads the nodes of the cluster if that is due. It finds changes that no node
// reports: a node that was removed still answers but gets no messages, and a slot may have
// another master.
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
			// There are none if the client has asked a node that was removed. The next
			// check is soon.
			if len(nodes) > 0 {
				st.compare(nodes, owners, began)
			}
			st.members.end(len(nodes) > 0)
		})
	}()
}

// nodes returns the nodes of the cluster, or nil if it does not answer.
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

// someOwners returns the owner of one topic of each shard, if it is known.
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

// compare closes the connections to servers that are not among nodes, and makes the topics of
// a shard stale if its topic in owners has another owner. Both were loaded after began.
func (st *state) compare(nodes map[Subscriber]bool, owners map[*shard]*redis.Client, began time.Time) {
	for _, sh := range st.shards {
		switch conn := sh.conn; {
		case conn == nil, conn.evidence.opened.After(began): // nodes may be older than conn
		case !nodes[conn.server]:
			conn.close(ErrRemoved)
		default:
			conn.evidence.lastMember = began
			owner, known := owners[sh]
			sh.placing.suspected = known && sh.spread && owner != sh.client
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterClient and ringClient are what tells the shards of a *redis.ClusterClient
// and of a *redis.Ring.
type clusterClient interface {
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
	ReloadState(ctx context.Context)
	ForEachShard(ctx context.Context, fn func(ctx context.Context, shard *redis.Client) error) error
}

type ringClient interface {
	GetShardClientForKey(key string) (*redis.Client, error)
	GetShardClients() []*redis.Client
}

// shards spreads names over the servers that own them, with a feed for each: the
// sharded channels of a cluster, and all names of a Ring. A name goes to another
// feed when it turns out to be owned by another server. Patterns have no owner:
// on a Ring they are subscribed to everywhere.
type shards struct {
	pubsub  *PubSub
	cluster clusterClient // nil: it is a Ring
	ring    ringClient
}

// shard is where a feed of shards connects to.
type shard struct {
	*shards
	client *redis.Client // nil: it is not known who owns the names
	err    error         // why not
}

var errNoShards = errors.New("tracedpubsub: all shards are down")

// owns says whether names of a kind are spread.
func (s *shards) owns(to kind) bool { return s.cluster == nil || to == toShards }

func (s *shards) owner(ctx context.Context, name string) (*redis.Client, error) {
	if s.cluster != nil {
		return s.cluster.MasterForKey(ctx, name)
	}
	return s.ring.GetShardClientForKey(name)
}

// add asks for names on the feeds of their owners.
func (s *shards) add(ctx context.Context, to kind, names []string) error {
	var errs []error
	for f, names := range s.route(ctx, to, names) {
		errs = append(errs, f.add(ctx, to, names))
	}
	return errors.Join(errs...)
}

// route says which feed is to get which of names. Names that are wanted already
// are left out.
func (s *shards) route(ctx context.Context, to kind, names []string) map[*feed][]string {
	routes := make(map[*feed][]string)
	if s.ring != nil && to == toPatterns {
		for _, client := range s.everywhere() {
			routes[s.feedOf(client, nil)] = names
		}
		return routes
	}
	for _, name := range names {
		if s.pubsub.wants(to, name) {
			continue
		}
		client, err := s.owner(ctx, name)
		f := s.feedOf(client, err)
		routes[f] = append(routes[f], name)
	}
	return routes
}

// everywhere returns the servers of a Ring that are up; nil, for a server that is
// not known, if none is.
func (s *shards) everywhere() []*redis.Client {
	if clients := s.ring.GetShardClients(); len(clients) > 0 {
		return clients
	}
	return []*redis.Client{nil}
}

// feedOf returns the feed for the names that client owns; without a client, that
// for the names whose owner is not known, because of err.
func (s *shards) feedOf(client *redis.Client, err error) *feed {
	st := &s.pubsub.status
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, f := range st.feeds {
		if f.shard != nil && f.shard.client == client {
			return f
		}
	}
	if client == nil && err == nil {
		err = errNoShards
	}
	home := &shard{shards: s, client: client, err: err}
	return s.pubsub.addFeed(home.open, home)
}

// open connects to the owner.
func (s *shard) open(context.Context) (Subscriber, error) {
	s.pubsub.status.mu.Lock()
	defer s.pubsub.status.mu.Unlock()
	if s.client == nil {
		return nil, s.err
	}
	return s.client, nil
}

// settle gives the wishes of f that are not asked for to the feeds of their
// owners; all its wishes, if the owners may have changed unheard.
func (s *shards) settle(ctx context.Context, f *feed, all bool) {
	moves := make(map[*feed]*[kinds][]string)
	for to := range kinds {
		for _, name := range f.unsettled(to, all) {
			if s.ring != nil && to == toPatterns {
				s.everywhereElse(f, name)
				continue
			}
			client, err := s.owner(ctx, name)
			if err != nil {
				f.shard.unknown(err)
				continue
			}
			if client == f.shard.client {
				continue
			}
			g := s.feedOf(client, nil)
			if moves[g] == nil {
				moves[g] = new([kinds][]string)
			}
			moves[g][to] = append(moves[g][to], name)
		}
	}
	for g, names := range moves {
		f.move(g, names)
	}
}

// unsettled returns the names that are not asked for, or all.
func (f *feed) unsettled(to kind, all bool) []string {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	var names []string
	for name, w := range f.wishes[to] {
		if all || w.asked == nil {
			names = append(names, name)
		}
	}
	return names
}

// unknown notes why the owner is not known.
func (s *shard) unknown(err error) {
	s.pubsub.status.mu.Lock()
	defer s.pubsub.status.mu.Unlock()
	s.err = err
}

// everywhereElse sees to it that a pattern of f is wanted on all servers of the
// Ring that are up.
func (s *shards) everywhereElse(f *feed, pattern string) {
	clients := s.ring.GetShardClients()
	for _, client := range clients {
		if g := s.feedOf(client, nil); g != f {
			_ = g.add(s.pubsub.ctx, toPatterns, []string{pattern})
		}
	}
	if f.shard.client == nil && len(clients) > 0 {
		_ = f.remove(toPatterns, []string{pattern})
	}
}

// move hands wishes over to g.
func (f *feed) move(g *feed, names *[kinds][]string) {
	f.writing.Lock()
	f.status.mu.Lock()
	var leave [kinds][]string
	for to, names := range names {
		for _, name := range names {
			w := f.wishes[to][name]
			if w == nil || g.wishes[to][name] != nil {
				continue
			}
			delete(f.wishes[to], name)
			if w.asked != nil {
				leave[to] = append(leave[to], name)
			}
			if w.deaf == nil {
				w.deaf = &trouble{op: unsubscribeOps[to], err: errMoved, since: time.Now()}
				f.status.missing++
			}
			w.asked = nil
			g.setWish(kind(to), name, w)
		}
	}
	conn := f.conn
	f.status.change()
	f.status.mu.Unlock()
	if conn != nil {
		for to, names := range leave {
			_ = f.ask(conn, unsubscribeOps[to], kind(to), names)
		}
	}
	f.writing.Unlock()

	g.writing.Lock()
	defer g.writing.Unlock()
	g.status.mu.Lock()
	conn = g.conn
	g.status.mu.Unlock()
	if conn != nil {
		g.askAgain(conn)
	}
}

// changed says whether the servers of a Ring that are up are others than those
// in up, which it brings up to date.
func (s *shards) changed(up *[]*redis.Client) bool {
	if s == nil || s.ring == nil {
		return false
	}
	now := s.ring.GetShardClients()
	if slices.Equal(*up, now) {
		return false
	}
	*up = now
	return true
}

// anyMaster returns a master of the cluster, for names that every node delivers.
func (s *shards) anyMaster(ctx context.Context) (Subscriber, error) {
	return s.cluster.MasterForKey(ctx, strconv.Itoa(rand.Int()))
}

// check ends conn if it leads to a node that is no part of the cluster any more.
func (s *shards) check(ctx context.Context, conn *connection) {
	var mu sync.Mutex
	found := false
	err := s.cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		found = found || Subscriber(node) == conn.home
		return nil
	})
	if err == nil && !found {
		conn.close(errRemoved)
	}
}

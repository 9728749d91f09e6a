// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

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
	Len() int
}

// shards spreads names over the servers that own them, with a feed for each: the
// sharded channels of a cluster, and all names of a Ring. A name goes to another
// feed when it turns out to be owned by another server. Patterns have no owner:
// on a Ring they are subscribed to everywhere.
type shards struct {
	pubsub  *PubSub
	cluster clusterClient // nil: it is a Ring
	ring    ringClient

	seat atomic.Pointer[redis.Client] // where names are heard that every node of a cluster delivers

	checking sync.Mutex
	asked    bool      // the cluster, which has not answered yet
	due      time.Time // when it is to be asked again
}

// shard is where a feed of shards connects to.
type shard struct {
	*shards
	client *redis.Client // nil: it is not known who owns the names
	err    error         // why not

	doubted atomic.Bool // that client owns the names

	// For the goroutine of the feed that reads, or watches.
	settled time.Time       // when there was last nothing unsure
	looked  time.Time       // when each name was last looked at
	up      []*redis.Client // the servers of a Ring then, and how many it went by
	n       int
}

var errNoShards = errors.New("tracedpubsub: all shards are down")

// owns says whether names of a kind are spread.
func (s *shards) owns(to kind) bool { return s.cluster == nil || to == toShards }

// owners returns what says who owns a name. Once it could not tell, it does not
// ask again: that takes its time, and the answer would be the same.
func (s *shards) owners(ctx context.Context) func(name string) (*redis.Client, error) {
	var failed error
	return func(name string) (client *redis.Client, err error) {
		switch {
		case failed != nil:
			return nil, failed
		case s.cluster != nil:
			client, err = s.cluster.MasterForKey(ctx, name)
		default:
			client, err = s.ring.GetShardClientForKey(name)
		}
		failed = err
		return client, err
	}
}

// add asks for names on the feeds of their owners.
func (s *shards) add(ctx context.Context, to kind, names []string) error {
	if len(names) > 0 {
		s.named()
	}
	var errs []error
	for f, names := range s.route(ctx, to, names) {
		err := f.add(ctx, to, names)
		if errors.Is(err, errRetired) { // just now: there will be another one
			err = s.add(ctx, to, names)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// named notes that the subscription has a name, should it have begun without.
func (s *shards) named() {
	s.pubsub.status.mu.Lock()
	defer s.pubsub.status.mu.Unlock()
	if t := s.pubsub.main.initial; t != nil && errors.Is(t.err, errNoName) {
		s.pubsub.main.initial = nil
	}
}

// route says which feed is to get which of names. Names that are wanted already
// are left out.
func (s *shards) route(ctx context.Context, to kind, names []string) map[*feed][]string {
	routes := make(map[*feed][]string)
	if len(names) == 0 {
		return routes
	}
	if s.ring != nil && to == toPatterns {
		for _, client := range s.everywhere() {
			routes[s.feedOf(client, nil)] = names
		}
		return routes
	}
	owner := s.owners(ctx)
	for _, name := range names {
		if s.pubsub.wants(to, name) {
			continue
		}
		f := s.feedOf(owner(name))
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
	s.checkSoon()
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

// unknown notes why the owner is not known.
func (s *shard) unknown(err error) {
	s.pubsub.status.mu.Lock()
	defer s.pubsub.status.mu.Unlock()
	s.err = err
}

// anyMaster returns a master of the cluster, for names that every node delivers:
// the same as before, unless that was given up. Nodes pass messages on to each
// other, so a change to another one may bring some of them a second time.
func (s *shards) anyMaster(ctx context.Context) (Subscriber, error) {
	if client := s.seat.Load(); client != nil {
		return client, nil
	}
	client, err := s.cluster.MasterForKey(ctx, strconv.Itoa(rand.Int()))
	if err != nil {
		return nil, err
	}
	s.seat.Store(client)
	return client, nil
}

// check asks the cluster, now and then, for what its nodes do not tell the
// subscription: that one was taken out, or that another one is the master of a
// shard. It does not wait for that, as the cluster may not answer.
func (s *shards) check(ctx context.Context) {
	s.checking.Lock()
	defer s.checking.Unlock()
	if s.asked || time.Now().Before(s.due) {
		return
	}
	s.asked, s.due = true, time.Now().Add(memberInterval)
	go func() {
		began := time.Now()
		nodes := s.nodes(ctx)
		// A node that was taken out may have been asked, and knows of none. Another
		// one is asked soon.
		if len(nodes) > 0 {
			s.compare(ctx, nodes, began)
		}
		s.checking.Lock()
		defer s.checking.Unlock()
		if s.asked = false; len(nodes) == 0 {
			s.due = time.Time{}
		}
	}()
}

// checkSoon is for a subscription that has begun to use another server. What a
// check that is under way finds out may be from before.
func (s *shards) checkSoon() {
	s.checking.Lock()
	defer s.checking.Unlock()
	s.due = time.Time{}
}

// nodes returns the nodes of the cluster, as it sees itself now; nil if it does
// not answer.
func (s *shards) nodes(ctx context.Context) map[Subscriber]bool {
	var mu sync.Mutex
	nodes := make(map[Subscriber]bool)
	if err := s.cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		nodes[node] = true
		return nil
	}); err != nil {
		return nil
	}
	return nodes
}

// compare ends connections to servers that are none of nodes, which were the
// nodes at some time after began, and has names moved that are owned by another
// one.
func (s *shards) compare(ctx context.Context, nodes map[Subscriber]bool, began time.Time) {
	s.pubsub.status.mu.Lock()
	defer s.pubsub.status.mu.Unlock()
	for _, f := range s.pubsub.status.feeds {
		switch {
		case f.conn == nil, f.conn.opened.After(began): // nothing has been asked about it
			continue
		case !nodes[f.conn.home]:
			f.conn.close(errRemoved)
			continue
		}
		f.conn.member = began
		if f.shard == nil {
			continue
		}
		for name := range f.wishes[toShards] {
			owner, err := s.cluster.MasterForKey(ctx, name) // known: nobody is asked
			f.shard.doubted.Store(err == nil && owner != f.shard.client)
			break
		}
	}
}

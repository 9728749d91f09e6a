// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// placement is topics of a kind that go to the same shard.
type placement struct {
	kind  Kind
	names []string

	spread bool          // they are owned by client; otherwise they go to the main shard
	client *redis.Client // nil: the owner is not known
	err    error         // why not
}

// place finds the shards for new topics. It may wait for a cluster.
func (s *Subscription) place(ctx context.Context, k Kind, names []string) []placement {
	if !s.topology.spreads(k) {
		return []placement{{kind: k, names: names}}
	}
	var added []string
	s.update(func(st *state) {
		for _, name := range names {
			if !st.has(k, name) {
				added = append(added, name)
			}
		}
	})
	var placements []placement
	find := s.finder(ctx, k)
	for _, name := range added {
		owners, err := find(name)
		if err != nil {
			owners = []*redis.Client{nil}
		}
		for _, owner := range owners {
			i := slices.IndexFunc(placements, func(p placement) bool { return p.client == owner })
			if i < 0 {
				i = len(placements)
				placements = append(placements, placement{kind: k, spread: true, client: owner, err: err})
			}
			placements[i].names = append(placements[i].names, name)
		}
	}
	return placements
}

// finder returns what finds the owners of topics. Once it could not, it does not try
// again: that takes its time, and the result would be the same.
func (s *Subscription) finder(ctx context.Context, k Kind) func(name string) ([]*redis.Client, error) {
	var failed error
	return func(name string) ([]*redis.Client, error) {
		if failed != nil {
			return nil, failed
		}
		owners, err := s.topology.owners(ctx, k, name)
		failed = err
		return owners, err
	}
}

// reconcile sees to it that the topics of a spread shard are on the servers that own
// them. It looks at those for which no command is pending, or at all if the placing is
// stale. It may wait for a cluster.
func (s *Subscription) reconcile(sh *shard) {
	var names [kinds][]string
	var since time.Time
	s.update(func(*state) { names, since = sh.misplaced() })
	for k := range kinds {
		find := s.finder(s.ctx, k)
		owners := make(map[string][]*redis.Client)
		var failed error
		for _, name := range names[k] {
			found, err := find(name)
			if failed = err; failed != nil {
				break
			}
			owners[name] = found
		}
		s.update(func(*state) {
			if failed != nil {
				sh.unknown = failed
			}
			sh.reconcileTopics(k, owners, since)
		})
	}
}

// misplaced returns the topics of sh that may be owned by other servers, and since when
// those may be that nothing is known about. It is part of the state, as is all below.
func (sh *shard) misplaced() (names [kinds][]string, since time.Time) {
	if sh.placing.reconciled.IsZero() {
		sh.placing.reconciled = time.Now()
	}
	all, since := sh.sub.topology.stale(&sh.placing)
	sh.placing.reconciled = time.Now() // nothing is known of what happens from here on
	sh.topics.all(func(k Kind, name string, t *topic) {
		if all || t.pending == nil {
			names[k] = append(names[k], name)
		}
	})
	return names, since
}

// reconcileTopics moves topics of sh to the servers that own them.
func (sh *shard) reconcileTopics(k Kind, owners map[string][]*redis.Client, since time.Time) {
	var gone []string
	changed := make(map[*shard]bool)
	for name, owners := range owners {
		if sh.topics[k][name] == nil {
			continue // it was removed meanwhile
		}
		for _, owner := range owners {
			if owner == sh.client {
				continue
			}
			to := sh.state().shardOf(placement{spread: true, client: owner})
			changed[to] = true
			if k == Patterns {
				sh.replicate(to, name, since)
			} else if sh.migrate(to, k, name, since) {
				gone = append(gone, name)
			}
		}
		if k == Patterns && !slices.Contains(owners, sh.client) {
			sh.release(name)
			gone = append(gone, name)
		}
	}
	sh.unsubscribe(k, gone)
	for to := range changed {
		to.resubscribe()
	}
}

// migrate moves a topic to another shard. If it was received, it is not since then. It
// reports whether sh is subscribed to it.
func (sh *shard) migrate(to *shard, k Kind, name string, since time.Time) (subscribed bool) {
	st, t := sh.state(), sh.topics[k][name]
	o := t.outage
	if o == nil {
		o = &outage{op: k.unsubscribeOp(), err: ErrMoved, since: since}
		st.failed(ErrMoved)
	}
	sh.delete(k, name)
	if to.topics[k][name] == nil { // two calls may have added it
		to.set(k, name, &topic{}, o)
	}
	st.notify()
	return t.pending != nil
}

// replicate adds a pattern of sh to another shard, which may have had messages for it
// since then.
func (sh *shard) replicate(to *shard, pattern string, since time.Time) {
	if to.topics[Patterns][pattern] != nil {
		return
	}
	o := &outage{op: Patterns.subscribeOp(), err: ErrMoved, since: since}
	if t := sh.topics[Patterns][pattern]; sh.client == nil && t.outage != nil {
		o = t.outage
	}
	to.set(Patterns, pattern, &topic{}, o)
}

// release removes a pattern from a server that is no part of the Ring any more. An outage
// there is over: it is known now how long it was.
func (sh *shard) release(pattern string) {
	var over outages
	if t := sh.topics[Patterns][pattern]; sh.client != nil && t.outage != nil && t.outage.op != "" {
		over.add(pattern, t.outage)
	}
	sh.delete(Patterns, pattern)
	sh.state().reportRecovered(over)
}

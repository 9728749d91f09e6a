// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// placement is a set of topics of one kind that belong on the same shard.
type placement struct {
	kind  Kind
	names []string

	spread bool          // client owns them; otherwise they belong on the main shard
	client *redis.Client // nil: the owner is not known
	err    error         // why the owner is not known
}

// place returns the placements of topics. If their kind is spread, it leaves out those that
// are not new. It may wait for a cluster. It returns ErrClosed if the Subscription is closed.
func (s *Subscription) place(ctx context.Context, k Kind, names []string) (placements []placement, err error) {
	if !s.topology.spreads(k) {
		return []placement{{kind: k, names: names}}, nil
	}
	var added []string
	if err := s.updateOpen(func(st *state) {
		for _, name := range names {
			if !st.has(k, name) {
				added = append(added, name)
			}
		}
	}); err != nil {
		return nil, err
	}
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
	return placements, nil
}

// finder returns a function that finds the owners of topics. When it has failed once, it
// returns the same error for all other topics, since each attempt may take long.
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

// reconcile moves topics of a spread shard to the servers that own them. It compares the
// topics without a pending command, or all topics if they are stale. It may wait for a
// cluster.
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

// misplaced returns the topics of sh that other servers may own, and since when that may be
// the case. It is part of the state, and so are the functions below.
func (sh *shard) misplaced() (names [kinds][]string, since time.Time) {
	if sh.placing.reconciled.IsZero() {
		sh.placing.reconciled = time.Now()
	}
	all, since := sh.sub.topology.stale(&sh.placing)
	if since.IsZero() && sh.conn != nil {
		since = sh.conn.evidence.received()
	}
	sh.placing.reconciled = time.Now() // before the owners are loaded, as they may change then
	sh.topics.all(func(k Kind, name string, t *topic) {
		if all || t.pending == nil {
			names[k] = append(names[k], name)
		}
	})
	return names, since
}

// reconcileTopics moves topics of sh to the servers that own them.
func (sh *shard) reconcileTopics(k Kind, owners map[string][]*redis.Client, since time.Time) {
	if sh.state().over() {
		return
	}
	var gone []string
	changed := make(map[*shard]bool)
	for name, owners := range owners {
		if sh.topics[k][name] == nil {
			continue // it was removed in the meantime
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

// migrate moves a topic to another shard. If the topic has no outage, one begins at since.
// migrate reports whether sh has subscribed to the topic on its connection.
func (sh *shard) migrate(to *shard, k Kind, name string, since time.Time) (subscribed bool) {
	st, t := sh.state(), sh.topics[k][name]
	o := t.outage
	if o == nil {
		o = &outage{op: k.unsubscribeOp(), err: ErrMoved, since: since}
		st.reopen(name, o)
		st.failed(ErrMoved)
	}
	sh.delete(k, name)
	if to.topics[k][name] == nil { // two calls may have added it
		to.set(k, name, &topic{received: t.received}, o)
	}
	st.notify()
	return t.pending != nil
}

// replicate adds a pattern of sh to another shard. Messages of that shard may have been
// missed from since on.
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

// release removes a pattern from a server that is no longer part of the Ring. An outage of
// the pattern there is over, and is reported.
func (sh *shard) release(pattern string) {
	var over outages
	if t := sh.topics[Patterns][pattern]; sh.client != nil && t.outage != nil && t.outage.op != "" {
		over.add(pattern, t.outage)
	}
	sh.delete(Patterns, pattern)
	sh.state().reportRecovered(over)
}

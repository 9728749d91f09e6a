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

	spread bool          // they belong on client; otherwise on the main shard
	client *redis.Client // nil: the owner is not known
	err    error         // why the owner is not known
}

// place returns the placements of topics. It leaves out those on spread shards that are not
// new. It may wait for a cluster. It returns ErrClosed if the Subscription is closed.
func (s *Subscription) place(ctx context.Context, k Kind, names []string) (placements []placement, err error) {
	var shared, added []string
	everywhere := false
	if err := s.updateOpen(func(st *state) {
		for _, name := range names {
			reach := s.topology.reach(k, name)
			if reach&onMain != 0 {
				shared = append(shared, name)
			}
			if reach != onMain && !st.has(k, name) {
				added = append(added, name)
				everywhere = everywhere || reach&onAll != 0
			}
		}
		if cluster := s.topology.cluster(); cluster != nil && everywhere && st.everywhere() == 0 {
			cluster.masters.begin()
		}
	}); err != nil {
		return nil, err
	}
	if len(shared) > 0 {
		placements = append(placements, placement{kind: k, names: shared})
	}
	find := s.finder(ctx, k)
	for _, name := range added {
		owners, err := find(name)
		if err != nil {
			owners = []*redis.Client{nil}
		}
		for _, owner := range owners {
			i := slices.IndexFunc(placements, func(p placement) bool { return p.spread && p.client == owner })
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
	var stale staleness
	s.update(func(*state) { names, stale = sh.misplaced() })
	ctx, cancel := context.WithTimeout(s.ctx, verifyTimeout)
	defer cancel()
	for k := range kinds {
		find := s.finder(ctx, k)
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
				// It is still suspected.
				sh.placing.suspected = sh.placing.suspected || stale.topics&onOwner != 0
			}
			sh.reconcileTopics(k, owners, stale)
		})
	}
}

// misplaced returns the topics of sh that may belong on other servers, and why. It is part of
// the state, and so are the functions below.
func (sh *shard) misplaced() (names [kinds][]string, stale staleness) {
	if sh.placing.reconciled.IsZero() {
		sh.placing.reconciled = time.Now()
	}
	topology := sh.sub.topology
	stale = topology.stale(&sh.placing)
	if stale.moved.IsZero() && sh.conn != nil {
		stale.moved = sh.conn.evidence.received()
	}
	sh.placing.reconciled = time.Now() // before the owners are loaded, as they may change then
	sh.topics.all(func(k Kind, name string, t *topic) {
		if t.pending == nil || stale.topics != 0 && stale.topics&topology.reach(k, name) != 0 {
			names[k] = append(names[k], name)
		}
	})
	return names, stale
}

// reconcileTopics moves topics of sh to the servers on which they belong.
func (sh *shard) reconcileTopics(k Kind, owners map[string][]*redis.Client, stale staleness) {
	if sh.state().over() {
		return
	}
	var gone []string
	changed := make(map[*shard]bool)
	for name, owners := range owners {
		switch t := sh.topics[k][name]; {
		case t == nil: // it was removed in the meantime
		case sh.sub.topology.reach(k, name)&onAll != 0:
			// What one node of a cluster says may be wrong. Its word alone removes no topic
			// that is received.
			leave := !slices.Contains(owners, sh.client) && (t.pending == nil || stale.topics&onOwner != 0)
			sh.replicate(k, name, owners, leave, stale.added, changed)
			if leave {
				gone = append(gone, name)
			}
		case owners[0] != sh.client:
			to := sh.state().shardOf(placement{spread: true, client: owners[0]})
			changed[to] = true
			if sh.migrate(to, k, name, stale.moved) {
				gone = append(gone, name)
			}
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

// replicate adds a topic to those of its servers on which it is not yet. Messages of these may
// have been missed from since on. If it leaves sh, an outage of the topic there goes on at the
// new servers. Without new ones it is over, and is reported.
func (sh *shard) replicate(k Kind, name string, servers []*redis.Client, leave bool, since time.Time, changed map[*shard]bool) {
	st, old, received := sh.state(), sh.topics[k][name].outage, sh.topics[k][name].received
	o := &outage{op: k.subscribeOp(), err: ErrMoved, since: since}
	switch {
	case !leave, old == nil:
	case sh.client == nil, old.op == "": // it was not received anywhere so far
		o = old
	default:
		*o = *old
		if since.Before(o.since) {
			o.since = since
		}
	}
	replicated := false
	for _, server := range servers {
		to := st.shardOf(placement{spread: true, client: server})
		if to.topics[k][name] == nil {
			to.set(k, name, &topic{received: received}, o)
			replicated, changed[to] = true, true
		}
	}
	if !leave {
		return
	}
	sh.delete(k, name)
	switch {
	case replicated:
		st.reopen(name, o)
	case sh.client != nil && old != nil && old.op != "":
		st.reportRecovered(outages{old: {name}})
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// masters is what is known about the masters of a cluster, for topics that are on all of them.
type masters struct {
	mu      sync.Mutex
	list    []*redis.Client
	err     error         // of the last attempt to load list
	loaded  time.Time     // when it began
	loading chan struct{} // closed when the present attempt is over; nil: there is none

	asked    time.Time // the topics have to be compared with list since then
	complete time.Time // when all topics were last on all masters
}

// mastersPause is the shortest time between two attempts to load the list, as that of go-redis
// between two reloads.
const mastersPause = 200 * time.Millisecond

var errNoMasters = errors.New("tracedpubsub: no node of the cluster has slots")

// allMasters returns the owners of a topic that is on all masters.
func (c *cluster) allMasters(ctx context.Context) ([]*redis.Client, error) {
	list, err := c.masters.get(ctx, c)
	if err == nil && slices.ContainsFunc(list, func(node *redis.Client) bool { return c.isAmong(&c.avoid, node) }) {
		c.reload(ctx) // as in owners
		err = errAvoided
	}
	if err != nil {
		c.masters.mu.Lock()
		defer c.masters.mu.Unlock()
		c.masters.asked = time.Now()
		return nil, err
	}
	return list, nil
}

// begin notes that no topic has been on all masters so far.
func (m *masters) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.complete = time.Now()
}

// get returns the list, and loads it if it is not new. Only one goroutine loads it at a time, and
// get does not wait longer than for ctx, since a Dialer may hang.
func (m *masters) get(ctx context.Context, of *cluster) ([]*redis.Client, error) {
	m.mu.Lock()
	now := time.Now()
	loading := m.loading
	if loading == nil && now.Sub(m.loaded) < mastersPause {
		defer m.mu.Unlock()
		return m.list, m.err
	}
	if loading == nil {
		loading = make(chan struct{})
		m.loading, m.loaded = loading, now
		go m.load(context.WithoutCancel(ctx), of)
	}
	m.mu.Unlock()
	select {
	case <-loading:
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.list, m.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// load loads the list. If that fails, the client returns what it has loaded before.
func (m *masters) load(ctx context.Context, of *cluster) {
	ctx, cancel := context.WithTimeout(ctx, deadSilence)
	defer cancel()
	list, err := of.collect(ctx, of.client.ForEachMaster)
	if err == nil && len(list) == 0 {
		err = errNoMasters
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list, m.err = list, err
	close(m.loading)
	m.loading = nil
}

// stale returns the topics that are on all masters after each verification, and all topics if
// that has found another owner. Any other move of a slot shows in a reply of the node.
func (c *cluster) stale(p *placing) (s staleness) {
	if p.suspected {
		p.suspected, s.topics = false, onOwner|onAll
	}
	c.masters.mu.Lock()
	defer c.masters.mu.Unlock()
	if p.checked.Before(c.masters.asked) {
		p.checked = time.Now()
		s.topics |= onAll
	}
	s.added = c.masters.complete
	return s
}

// noteMasters notes the result of a verification that began then: whether all topics that are to
// be on all masters are so.
func (c *cluster) noteMasters(ctx context.Context, uses []use, all map[*redis.Client]*opinion, deaf []*redis.Client, began time.Time) {
	age, complete := allInUse(uses, all, deaf)
	if len(all) == 0 { // the nodes refuse to say anything
		complete = c.clientKnowsAll(ctx, uses)
	}
	c.masters.mu.Lock()
	defer c.masters.mu.Unlock()
	c.masters.asked = time.Now()
	if complete {
		c.masters.complete = latest(c.masters.complete, began.Add(-age))
	}
}

// clientKnowsAll is allInUse by what the client has loaded.
func (c *cluster) clientKnowsAll(ctx context.Context, uses []use) bool {
	used := make(map[Subscriber]bool)
	for _, u := range uses {
		if u.everywhere {
			used[u.client] = true
		}
	}
	if len(used) == 0 {
		return false
	}
	list, err := c.masters.get(ctx, c)
	return err == nil && !slices.ContainsFunc(list, func(node *redis.Client) bool { return !used[node] })
}

// allInUse reports whether all nodes that own slots, in the opinion of any, are in use for all
// topics that are to be on all masters, and how old that knowledge is. A node that fails sends
// nothing.
func allInUse(uses []use, all map[*redis.Client]*opinion, deaf []*redis.Client) (age time.Duration, complete bool) {
	used := make(map[string]bool)
	for _, u := range uses {
		node, _ := u.client.(*redis.Client)
		if o := all[node]; u.everywhere && o != nil {
			used[o.id] = true
			age = max(age, o.age(witnesses(node, all, deaf)))
		}
	}
	opinions := witnesses(nil, all, deaf)
	for _, o := range opinions {
		for id, m := range o.nodes {
			if m.slots != "" && !m.failing && !used[id] {
				return age, false
			}
		}
	}
	return age, len(opinions) > 0
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// ringClient is what tells the shards of a *redis.Ring.
type ringClient interface {
	GetShardClientForKey(key string) (*redis.Client, error)
	GetShardClients() []*redis.Client
	Len() int
}

// ring has each channel on the server that the client chooses by its name. A pattern may
// match channels of any server, and is on all of them.
type ring struct{ client ringClient }

var errNoShards = errors.New("tracedpubsub: all shards are down")

func (*ring) spreads(Kind) bool { return true }
func (*ring) leave()            {}
func (*ring) cluster() *cluster { return nil }

func (r *ring) owners(_ context.Context, k Kind, name string) ([]*redis.Client, error) {
	if k != Patterns {
		client, err := r.client.GetShardClientForKey(name)
		return []*redis.Client{client}, err
	}
	clients := r.client.GetShardClients()
	if len(clients) == 0 {
		return nil, errNoShards
	}
	return clients, nil
}

// shared is for the Subscribe of no names.
func (*ring) shared(context.Context) (Subscriber, error) { return nil, errNoTopic }

// ringInterval is how often all topics of a Ring are compared with their owners: a topic
// may be added just as the Ring changes.
const ringInterval = 10 * time.Second

// stale looks whether other servers are up than before. A Ring does not tell.
func (r *ring) stale(p *placing) (stale bool, since time.Time) {
	if p.looked.IsZero() {
		p.looked = time.Now()
	}
	// The list changes before the Ring goes by it; the number does not tell one server
	// from another.
	servers, count := r.client.GetShardClients(), r.client.Len()
	switch {
	case !slices.Equal(p.servers, servers) || p.count != count:
		since = p.reconciled
	case time.Since(p.looked) >= ringInterval:
		since = p.looked
	default:
		return false, p.reconciled
	}
	p.servers, p.count, p.looked = servers, count, time.Now()
	return true, since
}

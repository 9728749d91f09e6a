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

// ringClient has the methods of a *redis.Ring that find shards.
type ringClient interface {
	GetShardClientForKey(key string) (*redis.Client, error)
	GetShardClients() []*redis.Client
	Len() int
}

// ring is the topology of a Ring. Each channel is on the server that the client chooses by
// its name. Each pattern is on all servers, since it may match channels of any of them.
type ring struct{ client ringClient }

var errNoShards = errors.New("tracedpubsub: all shards are down")

func (*ring) leave()            {}
func (*ring) cluster() *cluster { return nil }

func (*ring) reach(k Kind, _ string) reach {
	if k == Patterns {
		return onAll
	}
	return onOwner
}

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

func (r *ring) closed(context.Context) bool {
	_, err := r.client.GetShardClientForKey("")
	return errors.Is(err, redis.ErrClosed)
}

// shared fails, since no topic of a Ring is on a shared server.
func (*ring) shared(context.Context) (endpoint, error) { return endpoint{}, errNoTopic }

// ringInterval is how often all topics of a Ring are compared with their owners, even if its
// servers are the same: a topic may have been added just when the Ring changed.
const ringInterval = 10 * time.Second

// stale returns all topics if other servers are up than before. A Ring does not report that.
func (r *ring) stale(p *placing) staleness {
	if p.checked.IsZero() {
		p.checked = time.Now()
	}
	// Both are compared. The list of the Ring changes before it chooses by it, and the
	// number is the same if one server has replaced another.
	servers, count := r.client.GetShardClients(), r.client.Len()
	var since time.Time
	switch {
	case !slices.Equal(p.servers, servers) || p.count != count:
		since = p.reconciled
	case time.Since(p.checked) >= ringInterval:
		since = p.checked
	default:
		return staleness{moved: p.reconciled, added: p.reconciled}
	}
	p.servers, p.count, p.checked = servers, count, time.Now()
	return staleness{topics: onOwner | onAll, moved: since, added: since}
}

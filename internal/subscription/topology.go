// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// topology chooses the servers on which to subscribe to topics.
type topology interface {
	// reach returns on which servers to subscribe to a topic.
	reach(k Kind, name string) reach
	// owners returns the servers for a topic, besides that of the main shard. It may wait
	// for a server.
	owners(ctx context.Context, k Kind, name string) ([]*redis.Client, error)
	// shared returns the server of the main shard. It stays the same if possible.
	shared(ctx context.Context) (endpoint, error)
	// leave makes shared choose another server, if there are several.
	leave()
	// stale returns which topics of a shard may belong on other servers, without a reply of
	// a server that says so. It does no I/O.
	stale(p *placing) staleness
	// closed reports whether the client was closed. It is called when a server has returned
	// redis.ErrClosed, and may wait for other servers.
	closed(ctx context.Context) bool
	// cluster returns the topology itself if it is a cluster, and nil otherwise.
	cluster() *cluster
}

// reach says on which servers to subscribe to a topic. It is a set of these:
type reach int

const (
	onMain  reach = 1 << iota // on the server of the main shard, which topics share
	onOwner                   // on the server that owns the topic
	onAll                     // on all servers
)

// staleness says which topics of a shard may belong on other servers.
type staleness struct {
	topics reach     // those that are on such servers
	moved  time.Time // since when another server may own them; zero: see evidence
	added  time.Time // since when there may be a server that is not in use
}

// placing is what a topology records about a shard, for stale. It is part of the state.
type placing struct {
	reconciled time.Time // when topics were last compared with their owners
	checked    time.Time // when all topics were last compared with their owners
	suspected  bool      // verify has found another owner

	servers []*redis.Client // the servers of a Ring when all topics were last compared
	count   int             // their number, by which the Ring chose
}

func topologyOf(client Subscriber) topology {
	switch client := client.(type) {
	case clusterClient:
		return &cluster{client: client}
	case ringClient:
		return &ring{client}
	case *redis.Client:
		if client != nil && client.Options().Addr == sentinelAddr {
			return &failover{single: single{client}, client: client}
		}
	}
	return single{client}
}

// isClosed reports whether a client is closed. It does no I/O: the pool of the client looks at
// that before it looks at the context.
func isClosed(client any) bool {
	node, ok := client.(*redis.Client)
	return !ok || node != nil && errors.Is(node.Ping(canceled).Err(), redis.ErrClosed)
}

// single is the topology of one server, or of several behind one address.
type single struct{ server Subscriber }

func (single) reach(Kind, string) reach                                      { return onMain }
func (s single) shared(context.Context) (endpoint, error)                    { return endpoint{client: s.server}, nil }
func (single) leave()                                                        {}
func (single) stale(*placing) staleness                                      { return staleness{} }
func (s single) closed(context.Context) bool                                 { return isClosed(s.server) }
func (single) cluster() *cluster                                             { return nil }
func (single) owners(context.Context, Kind, string) ([]*redis.Client, error) { return nil, nil }

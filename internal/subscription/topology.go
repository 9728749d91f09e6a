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
	// spreads reports whether topics of a kind are spread over several servers, each of
	// which owns some of them. All other topics share a server.
	spreads(k Kind) bool
	// owners returns the servers that own a topic of a kind that is spread. It may wait
	// for a server.
	owners(ctx context.Context, k Kind, name string) ([]*redis.Client, error)
	// shared returns the server for all other topics. It stays the same if possible.
	shared(ctx context.Context) (endpoint, error)
	// leave makes shared choose another server, if there are several.
	leave()
	// stale reports whether topics of a shard may have got another owner since the given
	// time, without a reply of a server that says so. It does no I/O.
	stale(p *placing) (stale bool, since time.Time)
	// closed reports whether the client was closed. It is called when a server has returned
	// redis.ErrClosed, and may wait for other servers.
	closed(ctx context.Context) bool
	// cluster returns the topology itself if it is a cluster, and nil otherwise.
	cluster() *cluster
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

func (single) spreads(Kind) bool                                             { return false }
func (s single) shared(context.Context) (endpoint, error)                    { return endpoint{client: s.server}, nil }
func (single) leave()                                                        {}
func (single) stale(*placing) (stale bool, since time.Time)                  { return false, time.Time{} }
func (s single) closed(context.Context) bool                                 { return isClosed(s.server) }
func (single) cluster() *cluster                                             { return nil }
func (single) owners(context.Context, Kind, string) ([]*redis.Client, error) { return nil, nil }

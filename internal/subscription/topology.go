// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// topology knows on which servers topics are to be subscribed to.
type topology interface {
	// spreads reports whether topics of a kind are spread over servers, each on the one
	// that owns it. All others share a server.
	spreads(k Kind) bool
	// owners returns the servers for a topic of a kind that is spread. It may ask them.
	owners(ctx context.Context, k Kind, name string) ([]*redis.Client, error)
	// shared returns the server for all other topics, the same as before if it can.
	shared(ctx context.Context) (Subscriber, error)
	// leave has shared return another server, if there are several.
	leave()
	// stale reports whether topics of a shard may have got another owner although no
	// server has said so, and since when that may be. It does not ask.
	stale(p *placing) (stale bool, since time.Time)
	// cluster returns the topology itself, if it is a cluster.
	cluster() *cluster
}

// placing is what a topology remembers of a shard, for stale.
type placing struct {
	reconciled time.Time // the topics were last compared with their owners
	looked     time.Time // all of them were
	suspected  bool      // a check has found another owner

	servers []*redis.Client // of a Ring at that time
	count   int             // of a Ring: by which it chose then
}

func topologyOf(client Subscriber) topology {
	switch client := client.(type) {
	case clusterClient:
		return &cluster{client: client}
	case ringClient:
		return &ring{client}
	}
	return single{client}
}

// single is one server, or several behind one address.
type single struct{ server Subscriber }

func (single) spreads(Kind) bool                                             { return false }
func (s single) shared(context.Context) (Subscriber, error)                  { return s.server, nil }
func (single) leave()                                                        {}
func (single) stale(*placing) (stale bool, since time.Time)                  { return false, time.Time{} }
func (single) cluster() *cluster                                             { return nil }
func (single) owners(context.Context, Kind, string) ([]*redis.Client, error) { return nil, nil }

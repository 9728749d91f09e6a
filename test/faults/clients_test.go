// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// constructor is a way to make the client of a row.
type constructor struct {
	name string
	make func(clientName string) redis.UniversalClient
}

// clientTimeout is the DialTimeout and the ReadTimeout of the rows. An attempt to connect
// that is never answered takes that long.
const clientTimeout = time.Second

func options(addr, clientName string) *redis.Options {
	return &redis.Options{Addr: addr, ClientName: clientName, DialTimeout: clientTimeout, ReadTimeout: clientTimeout}
}

// universal returns the options of NewUniversalClient for clients with these addresses. A client
// of a cluster appends to its addresses, so each gets a slice of its own.
func universal(clientName string, addrs ...string) *redis.UniversalOptions {
	return &redis.UniversalOptions{Addrs: slices.Clone(addrs), ClientName: clientName, DialTimeout: clientTimeout, ReadTimeout: clientTimeout}
}

// clientsOf returns the constructors of clients of one server. Each of change may change the
// options of all of them.
func clientsOf(addr string, change ...func(*redis.UniversalOptions)) []constructor {
	with := func(name string) *redis.UniversalOptions {
		o := universal(name, addr)
		for _, c := range change {
			c(o)
		}
		return o
	}
	return []constructor{{"NewClient", func(name string) redis.UniversalClient {
		return redis.NewClient(with(name).Simple())
	}}, {"NewUniversalClient of a server", func(name string) redis.UniversalClient {
		return redis.NewUniversalClient(with(name))
	}}}
}

// clientsOfCluster returns the constructors of clients of a cluster.
func clientsOfCluster(cluster *redistest.Cluster) []constructor {
	addrs := cluster.Addrs()
	return []constructor{{"NewClusterClient", func(name string) redis.UniversalClient {
		return redis.NewClusterClient(universal(name, addrs...).Cluster())
	}}, {"NewUniversalClient of several nodes", func(name string) redis.UniversalClient {
		return redis.NewUniversalClient(universal(name, addrs...))
	}}, {"NewUniversalClient of a cluster by one node", func(name string) redis.UniversalClient {
		o := universal(name, addrs[len(addrs)-1])
		o.IsClusterMode = true
		return redis.NewUniversalClient(o)
	}}}
}

// clientsOfSentinels returns the constructors of clients that ask sentinels for the master.
func clientsOfSentinels(sentinels *redistest.Sentinels) []constructor {
	with := func(name string, change ...func(*redis.UniversalOptions)) *redis.UniversalOptions {
		o := universal(name, sentinels.Addrs()...)
		o.MasterName = sentinels.MasterName()
		for _, c := range change {
			c(o)
		}
		return o
	}
	asCluster := func(o *redis.UniversalOptions) { o.IsClusterMode = true }
	return []constructor{{"NewFailoverClient", func(name string) redis.UniversalClient {
		return redis.NewFailoverClient(with(name).Failover())
	}}, {"NewFailoverClusterClient", func(name string) redis.UniversalClient {
		return redis.NewFailoverClusterClient(with(name).Failover())
	}}, {"NewUniversalClient of sentinels", func(name string) redis.UniversalClient {
		return redis.NewUniversalClient(with(name))
	}}, {"NewUniversalClient of sentinels as a cluster", func(name string) redis.UniversalClient {
		return redis.NewUniversalClient(with(name, asCluster))
	}}}
}

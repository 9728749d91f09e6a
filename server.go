// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// cachedServer is the server of the client that was used last. It has the address and not
// the client, so that a client that is no longer used can be garbage-collected.
type cachedServer struct {
	network, addr string
	server        *telemetry.Server
}

// server returns the server of a *redis.Client. For other publishers and subscribers it
// returns nil: they have several servers, or do not report which.
func (c *config) server(rdb any) *telemetry.Server {
	client, ok := rdb.(*redis.Client)
	if !ok || client == nil {
		return nil
	}
	opt := client.Options()
	// The client of a Sentinel has this placeholder in place of an address.
	if opt.Addr == "" || opt.Addr == "FailoverClient" {
		return nil
	}
	if cached := c.cachedServer.Load(); cached != nil && cached.addr == opt.Addr && cached.network == opt.Network {
		return cached.server
	}
	server := telemetry.NewServer(opt.Network, opt.Addr)
	c.cachedServer.Store(&cachedServer{opt.Network, opt.Addr, server})
	return server
}

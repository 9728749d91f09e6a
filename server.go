// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// cachedServer is the server of the client that was used last. It keeps the address
// and not the client, so that a closed client can be collected.
type cachedServer struct {
	network, addr string
	server        *telemetry.Server
}

// server returns the server of a *redis.Client. Any other publisher or subscriber
// has several servers, or does not tell which.
func (c *config) server(rdb any) *telemetry.Server {
	client, ok := rdb.(*redis.Client)
	if !ok || client == nil {
		return nil
	}
	opt := client.Options()
	// go-redis gives a Sentinel client this word in place of an address.
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

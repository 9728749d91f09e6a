// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// comparedClients are the types of clients that are compared, with the hook and without.
var comparedClients = []struct {
	name, reason string
	serve        func(t *testing.T) compared
}{{
	name:   "Client",
	reason: "the usual client, with its default retries",
	serve: func(t *testing.T) compared {
		return comparedClient(limitedServer(t), 0)
	},
}, {
	name:   "Client that tries once",
	reason: "the error is that of the first attempt",
	serve: func(t *testing.T) compared {
		return comparedClient(limitedServer(t), -1)
	},
}, {
	name:   "ClusterClient",
	reason: "commands pass its hook, and then those of the nodes",
	serve: func(t *testing.T) compared {
		redistest.Long(t)
		cluster := redistest.StartCluster(t)
		c := compared{client: func(line *breaking) redis.UniversalClient {
			return cluster.Client(func(o *redis.ClusterOptions) {
				o.Username, o.Password, o.Dialer = "limited", "secret", line.dial
			})
		}}
		for _, node := range cluster.Nodes() {
			limit(t, node.Client())
		}
		for _, master := range cluster.Masters() {
			c.nodes = append(c.nodes, master.Client())
		}
		c.listen = listenBy(cluster.Client())
		return c
	},
}, {
	name:   "Ring",
	reason: "commands pass its hook, that of a shard, or both",
	serve: func(t *testing.T) compared {
		one, two := limitedServer(t), limitedServer(t)
		return compared{
			client: func(line *breaking) redis.UniversalClient {
				return redis.NewRing(&redis.RingOptions{
					Addrs:    map[string]string{"one": one.Addr(), "two": two.Addr()},
					Username: "limited", Password: "secret", Dialer: line.dial,
				})
			},
			nodes: []*redis.Client{one.Client(), two.Client()},
		}
	},
}, {
	name:   "unreachable Client",
	reason: "there is no server",
	serve: func(t *testing.T) compared {
		addr := tracetest.UnreachableClient(t).Options().Addr
		return compared{client: func(line *breaking) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: addr, Dialer: line.dial, MaxRetries: -1, DialerRetries: 1})
		}}
	},
}, {
	name:   "unreachable ClusterClient",
	reason: "there is no node",
	serve: func(t *testing.T) compared {
		addr := tracetest.UnreachableClient(t).Options().Addr
		return compared{client: func(line *breaking) redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{
				Addrs: []string{addr}, Dialer: line.dial, MaxRedirects: -1, DialerRetries: 1,
			})
		}}
	},
}}

// compared has the servers of clients that are compared.
type compared struct {
	client func(line *breaking) redis.UniversalClient
	nodes  []*redis.Client // without restrictions
	listen listenFunc      // subscribes to sharded channels; nil: each node does
}

func comparedClient(server *redistest.Server, retries int) compared {
	return compared{
		client: func(line *breaking) redis.UniversalClient {
			return redis.NewClient(&redis.Options{
				Addr: server.Addr(), Username: "limited", Password: "secret", Dialer: line.dial, MaxRetries: retries,
			})
		},
		nodes: []*redis.Client{server.Client()},
	}
}

// subscribe subscribes on each node, so that replies are not zero.
func (c *compared) subscribe(t *testing.T) {
	t.Helper()
	ctx := tracetest.Context(t)
	for _, node := range c.nodes {
		tracetest.ReadyRaw(t, node.Subscribe(ctx, "reports"))
		if c.listen == nil {
			tracetest.ReadyRaw(t, node.SSubscribe(ctx, "reports"))
		}
	}
	if c.listen != nil {
		tracetest.ReadyRaw(t, c.listen(ctx, "reports", true))
	}
}

// With the hook every command has the same arguments, reply and error as without it.
func TestHookChangesNothingElse(t *testing.T) {
	t.Parallel()
	for _, kind := range comparedClients {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			c := kind.serve(t)
			c.subscribe(t)
			for _, use := range comparedUses {
				t.Run(use.name, func(t *testing.T) {
					if use.fullDuplex {
						tracetest.FullDuplex(t) // or skip
					}
					ctx := tracetest.Context(t)
					run := func(instrumented bool) []redis.Cmder {
						for _, node := range c.nodes {
							node.FlushAll(ctx)
						}
						var line breaking
						rdb := c.client(&line)
						t.Cleanup(func() { _ = rdb.Close() })
						if instrumented {
							var errs tracetest.ErrorLog
							tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), errs.Option())
						}
						line.armed.Store(use.breaks)
						return use.run(ctx, rdb)
					}
					want := run(false)
					assertSameCommands(t, run(true), want)
					if len(want) == 0 {
						t.Error("no commands")
					}
					if t.Failed() {
						t.Logf("%s; %s", kind.reason, use.reason)
					}
				})
			}
		})
	}
}

// A connection has the hooks of its client.
func TestHookChangesNothingElseOfConn(t *testing.T) {
	c := comparedClient(limitedServer(t), 0)
	c.subscribe(t)
	run := func(rdb redis.UniversalClient) []redis.Cmder {
		t.Cleanup(func() { _ = rdb.Close() })
		c.nodes[0].FlushAll(tracetest.Context(t))
		conn := rdb.(*redis.Client).Conn()
		defer func() { _ = conn.Close() }()
		return everyCommand(tracetest.Context(t), conn)
	}
	want, hooked := run(c.client(&breaking{})), c.client(&breaking{})
	var errs tracetest.ErrorLog
	tracetest.Instrument(t, hooked, tracetest.NewRecorder(t), errs.Option())
	assertSameCommands(t, run(hooked), want)
}

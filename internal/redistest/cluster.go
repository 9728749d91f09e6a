// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	masters = 3
	slots   = 16384
)

// A node listens for the others on a second port, its own and busPortOffset.
// From firstNodePort on, that one is below the range of outgoing connections as
// well, and above the ports that other servers are given.
const (
	busPortOffset = 10000
	firstNodePort = lastPort - busPortOffset
)

// adminName is the name that the cluster's own connections to its nodes have in
// CLIENT LIST.
const adminName = "redistest"

// Cluster is a Redis Cluster: three masters that share the slots, with one
// replica each. Its methods return when every node that runs agrees on what they
// changed, and fail the test when they cannot do what they say. They are for one
// goroutine at a time, together with those of the cluster's nodes.
//
// The cluster keeps connections of its own to the nodes, not through proxies.
// CLIENT LIST has them under the name "redistest".
type Cluster struct {
	t     testing.TB
	nodes []*node // less those that were removed
}

// node is a server as a member of a cluster.
type node struct {
	*Server
	id    string
	proxy *Proxy        // nil without proxies
	admin *redis.Client // for commands to this very node
}

// StartCluster starts a cluster, and returns when all of it is up. It ends with
// the test as a [Server] does, each node in whatever state it is then.
//
// Arguments are those of redis-server, for every node; they win over what is the
// default here: a node is held for dead after two seconds
// ("--cluster-node-timeout", "2000"), and when nobody is left to serve a slot,
// the others are served all the same ("--cluster-require-full-coverage", "no").
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	return startCluster(t, false, args)
}

// StartProxiedCluster is [StartCluster] with a [Proxy] in front of each node.
// The nodes tell clients the addresses of their proxies and nothing else, so
// that every connection of a client goes through the proxy of its node. The
// connections of the nodes among themselves do not: whatever a proxy does, to
// the cluster all is well.
//
// The proxies are at 127.0.0.2, which is there on Linux; elsewhere it is to be
// added to the loopback interface first.
func StartProxiedCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	return startCluster(t, true, args)
}

func startCluster(t testing.TB, proxied bool, args []string) *Cluster {
	t.Helper()
	defaults := []string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
		"--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no",
		// A master whose slots are moved away stays one, and keeps its replica:
		// in the midst of it, it would take no more commands.
		"--cluster-allow-replica-migration", "no",
		// A replica has its copy at once, and not after the wait for others.
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
	}
	if proxied {
		// A host name is for clients only. The nodes find each other by address.
		defaults = append(defaults, "--cluster-announce-hostname", proxyHost,
			"--cluster-preferred-endpoint-type", "hostname")
	}
	c := &Cluster{t: t}
	for range 2 * masters {
		c.startNode(proxied, slices.Concat(defaults, args))
	}
	c.form()
	c.WaitUntilHealthy()
	return c
}

func (c *Cluster) startNode(proxied bool, args []string) {
	c.t.Helper()
	n := &node{Server: startOnFreePort(c.t, func() int { return randomPort(firstNodePort) }, args)}
	if proxied {
		// The port is the same, as a node announces one port for all its names.
		var err error
		if n.proxy, err = startProxy(c.t, net.JoinHostPort(proxyHost, strconv.Itoa(n.port)), n.Addr()); err != nil {
			c.t.Fatalf("start the proxy of a node: %v; this test needs the address %s; "+
				"to add it on macOS: sudo ifconfig lo0 alias %s", err, proxyHost, proxyHost)
		}
	}
	n.admin = redis.NewClient(&redis.Options{Addr: n.Addr(), ClientName: adminName, ReadTimeout: waitTimeout})
	c.t.Cleanup(func() { _ = n.admin.Close() })
	c.nodes = append(c.nodes, n)
	waitFor(c.t, "ask a node for its id", func(ctx context.Context) (err error) {
		n.id, err = n.admin.ClusterMyID(ctx).Result()
		return err
	})
}

// Proxy returns the proxy in front of a node of a cluster that was started with
// proxies.
func (c *Cluster) Proxy(of *Server) *Proxy {
	c.t.Helper()
	p := c.node(of).proxy
	if p == nil {
		c.t.Fatal("the cluster was started without proxies")
	}
	return p
}

// Addrs returns the addresses for clients of the nodes that are masters now.
func (c *Cluster) Addrs() []string {
	c.t.Helper()
	var addrs []string
	for _, master := range c.Masters() {
		addr := master.Addr()
		if p := c.node(master).proxy; p != nil {
			addr = p.Addr()
		}
		addrs = append(addrs, addr)
	}
	return addrs
}

// Client returns a new client of the cluster, closed when the test ends. Each
// option may change what the client is made with.
func (c *Cluster) Client(options ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	c.t.Helper()
	o := &redis.ClusterOptions{Addrs: c.Addrs()}
	for _, option := range options {
		option(o)
	}
	client := redis.NewClusterClient(o)
	// A test may have closed it already, so that an error says nothing.
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// answering returns the nodes that can answer.
func (c *Cluster) answering() []*node {
	c.t.Helper()
	var nodes []*node
	for _, n := range c.nodes {
		if n.running() && !n.paused {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) == 0 {
		c.t.Fatal("no node of the cluster runs")
	}
	return nodes
}

// do sends commands to a node, and fails the test at the first error.
func (c *Cluster) do(n *node, commands ...[]any) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	cmds, err := n.admin.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, command := range commands {
			p.Do(ctx, command...)
		}
		return nil
	})
	if err == nil {
		return
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			c.t.Fatalf("node at %s: %v", n.Addr(), cmd)
		}
	}
	c.t.Fatalf("node at %s: %v", n.Addr(), err)
}

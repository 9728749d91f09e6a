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

// A node listens on a second port for the other nodes. That is its port plus busPortOffset.
// From firstNodePort on, it is also below the range of client connections, and above the
// ports of other servers.
const (
	busPortOffset = 10000
	firstNodePort = lastPort - busPortOffset
)

// adminName is the name of the Cluster's own connections in CLIENT LIST.
const adminName = "redistest"

// Cluster is a Redis Cluster: three masters that share the slots, with one replica each. Its
// methods return when all running nodes agree on the change, and fail the test if they do
// not succeed. A Cluster and its nodes must be used by one goroutine at a time.
//
// A Cluster has connections of its own to the nodes, which do not use the proxies. In CLIENT
// LIST their name is "redistest".
type Cluster struct {
	t     testing.TB
	nodes []*node // less those that were removed
}

// node is a server as a member of a cluster.
type node struct {
	*Server
	id    string
	proxy *Proxy        // nil without proxies
	admin *redis.Client // for commands to this node only
	bus   *Proxy        // other nodes connect to it; nil without proxies on the bus
	host  string        // the node connects to others from this address; empty without such proxies

	isolated bool // from the bus
	alone    bool // it has forgotten all others
}

// StartCluster starts a cluster, and returns when all nodes are up. The nodes are killed when
// the test ends; see [Start].
//
// args are arguments of redis-server for every node. They override the defaults: a node
// counts as dead after two seconds ("--cluster-node-timeout", "2000"), and if a slot has no
// running owner, the other slots are still served ("--cluster-require-full-coverage", "no").
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	return startCluster(t, direct, args)
}

// StartProxiedCluster is like [StartCluster], with a [Proxy] in front of each node. The nodes
// announce only the addresses of their proxies, so that every connection of a client goes
// through a proxy. The connections between nodes do not, so the faults of a proxy do not
// change the state of the cluster.
//
// The proxies listen on 127.0.0.2. On systems other than Linux, this address must be added
// to the loopback interface first.
func StartProxiedCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	return startCluster(t, clientProxies, args)
}

// StartBusProxiedCluster is like [StartCluster], with a [Proxy] in front of the bus port of each
// node. [Cluster.Isolate] cuts a node off from all others, and its clients still reach it.
//
// The nodes connect to each other from 127.0.0.11 to 127.0.0.16. On systems other than Linux,
// these addresses must be added to the loopback interface first.
func StartBusProxiedCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	return startCluster(t, busProxies, args)
}

// proxies says which connections to the nodes of a cluster go through proxies.
type proxies int

const (
	direct        proxies = iota // none
	clientProxies                // those of clients
	busProxies                   // those of other nodes
)

func startCluster(t testing.TB, proxies proxies, args []string) *Cluster {
	t.Helper()
	defaults := []string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
		"--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no",
		// A master whose slots are moved away stays a master and keeps its replica.
		// Otherwise it would refuse the last commands of the move.
		"--cluster-allow-replica-migration", "no",
		// A replica syncs at once, and does not wait for others.
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
	}
	if proxies == clientProxies {
		// Only clients use the host name. The nodes use the address.
		defaults = append(defaults, "--cluster-announce-hostname", proxyHost,
			"--cluster-preferred-endpoint-type", "hostname")
	}
	c := &Cluster{t: t}
	for range 2 * masters {
		c.startNode(proxies, slices.Concat(defaults, args))
	}
	c.form()
	c.WaitUntilHealthy()
	return c
}

func (c *Cluster) startNode(proxies proxies, args []string) {
	c.t.Helper()
	var host string
	if proxies == busProxies {
		host = peerHost(len(c.nodes))
		needHosts(c.t, host)
		// The nodes take their addresses from what they announce, and not from their
		// connections. Protected mode refuses all addresses but the usual one.
		args = slices.Concat(args, []string{"--bind-source-addr", host,
			"--cluster-announce-ip", "127.0.0.1", "--protected-mode", "no"})
	}
	n := &node{host: host, Server: newServer(c.t, args)}
	n.startOnFreePort(nodePort)
	if proxies == clientProxies {
		needHosts(c.t, proxyHost)
		// The port is the same, because a node announces only one port.
		var err error
		if n.proxy, err = startProxy(c.t, net.JoinHostPort(proxyHost, strconv.Itoa(n.port)), n.Addr()); err != nil {
			c.t.Fatalf("start the proxy of a node: %v", err)
		}
	}
	n.admin = redis.NewClient(&redis.Options{Addr: n.Addr(), ClientName: adminName, ReadTimeout: waitTimeout})
	c.t.Cleanup(func() { _ = n.admin.Close() })
	c.nodes = append(c.nodes, n)
	if proxies == busProxies {
		c.startBusProxy(n)
	}
	waitFor(c.t, "get the id of a node", func(ctx context.Context) (err error) {
		n.id, err = n.admin.ClusterMyID(ctx).Result()
		return err
	})
}

// Proxy returns the proxy in front of a node. The cluster must have been started with
// proxies.
func (c *Cluster) Proxy(of *Server) *Proxy {
	c.t.Helper()
	p := c.node(of).proxy
	if p == nil {
		c.t.Fatal("the cluster was started without proxies")
	}
	return p
}

// Addrs returns the addresses of the nodes that are masters now, as clients use them.
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

// Client returns a new client of the cluster. It is closed when the test ends. Each option
// may change the options of the client.
func (c *Cluster) Client(options ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	c.t.Helper()
	o := &redis.ClusterOptions{Addrs: c.Addrs()}
	for _, option := range options {
		option(o)
	}
	client := redis.NewClusterClient(o)
	// The test may have closed it already, so an error has no meaning.
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// answering returns the nodes that run and are not paused, and that the others reach.
func (c *Cluster) answering() []*node {
	c.t.Helper()
	var nodes []*node
	for _, n := range c.nodes {
		if n.running() && !n.paused && !n.isolated && !n.alone {
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// scene is where a fault takes place.
type scene struct {
	fault            fault
	classic, sharded []string // channels
	clients          []constructor
	began, healed    time.Time
	// reach is how far the downtime of a report may reach back behind the last message.
	reach time.Duration

	servers   []*redistest.Server
	proxy     *redistest.Proxy
	cluster   *redistest.Cluster
	victim    *redistest.Server // the node of the cluster that the fault happens to
	sentinels *redistest.Sentinels
	tls       *redistest.TLSServer
	dialer    *dialer
	rows      []*row

	publisher *publisher
	reference *reference
	// watched has the addresses at which the reference watches a channel, if those are not
	// the ones of the publisher.
	watched        map[string][]string
	stopPublishing func()
}

// newScene starts what the fault needs, subscribes the rows, and starts to publish.
func newScene(t *testing.T, f fault, rows []*row) *scene {
	t.Helper()
	s := &scene{
		fault: f, rows: rows, publisher: newPublisher(t), reach: signOfLife,
		reference: newReference(), watched: make(map[string][]string),
	}
	f.at(t, s)
	for _, r := range rows {
		r.subscribe(t, s)
	}
	s.startReference(t)
	s.stopPublishing = s.publisher.start(t)
	return s
}

var (
	classicChannels = []string{channelPrefix + "a", channelPrefix + "b", channelPrefix + "c"}
	shardedChannels = []string{channelPrefix + "x", channelPrefix + "y", channelPrefix + "z"}
)

// onServer is one server, with arguments.
func onServer(args ...string) func(*testing.T, *scene) {
	return func(t *testing.T, s *scene) {
		t.Helper()
		server, _ := tracetest.StartServer(t, args...)
		s.at(server)
	}
}

// at makes the rows, the publisher and the reference use one server.
func (s *scene) at(server *redistest.Server) {
	s.servers = []*redistest.Server{server}
	s.clients = clientsOf(server.Addr())
	s.classic, s.sharded = classicChannels, shardedChannels
	s.publisher.to([]string{server.Addr()}, slices.Concat(s.classic, s.sharded)...)
}

// behindProxy is one server. The rows connect to it through a proxy, the publisher and
// the reference do not.
func behindProxy(t *testing.T, s *scene) {
	t.Helper()
	onServer()(t, s)
	s.proxy = redistest.NewProxy(t, s.servers[0].Addr())
	s.clients = clientsOf(s.proxy.Addr())
}

// onCluster is a cluster of three masters and their replicas. The victim is a master that
// owns two of the three sharded channels. The other channels are published on another
// master, so that one server alone decides on their order.
func onCluster(t *testing.T, s *scene) {
	t.Helper()
	s.inCluster(redistest.StartCluster(t))
}

func (s *scene) inCluster(cluster *redistest.Cluster) {
	s.cluster = cluster
	s.servers = s.cluster.Nodes()
	masters := s.cluster.Masters()
	s.victim = masters[0]
	s.reach = roleReach
	s.clients = clientsOfCluster(s.cluster)
	s.classic = classicChannels
	s.sharded = []string{
		s.cluster.ChannelOn(s.victim, channelPrefix+"x"),
		s.cluster.ChannelOn(s.victim, channelPrefix+"y"),
		s.cluster.ChannelOn(masters[1], channelPrefix+"z"),
	}
	var nodes []string
	for _, n := range s.servers {
		nodes = append(nodes, n.Addr())
	}
	s.publisher.to([]string{masters[2].Addr()}, s.classic...)
	s.publisher.to(nodes, s.sharded...)
}

// onRing is a Ring of two servers, with channels of all kinds on both.
func onRing(t *testing.T, s *scene) {
	t.Helper()
	addrs := make(map[string]string)
	for _, shard := range []string{"one", "two"} {
		server, _ := tracetest.StartServer(t)
		s.servers = append(s.servers, server)
		addrs[shard] = server.Addr()
	}
	ring := func(name string) *redis.Ring {
		return redis.NewRing(&redis.RingOptions{Addrs: addrs, ClientName: name, DialTimeout: clientTimeout, ReadTimeout: clientTimeout})
	}
	s.clients = []constructor{{"NewRing", func(name string) redis.UniversalClient { return ring(name) }}}
	placing := ring("placing")
	defer func() { _ = placing.Close() }()
	place := func(prefix string) (channels []string) {
		for _, server := range []int{0, 1, 0} {
			for i := 0; ; i++ {
				channel := fmt.Sprintf("%s%s%d", channelPrefix, prefix, i)
				client, err := placing.GetShardClientForKey(channel)
				if err != nil {
					t.Fatal(err)
				}
				if addr := s.servers[server].Addr(); client.Options().Addr == addr && !slices.Contains(channels, channel) {
					s.publisher.to([]string{addr}, channel)
					channels = append(channels, channel)
					break
				}
			}
		}
		return channels
	}
	s.classic, s.sharded = place("a"), place("x")
}

// connectionsOf returns the ids of the connections of a client to a server that have
// subscriptions.
func connectionsOf(t *testing.T, addr, clientName string) []string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(clientList(t, addr)) {
		fields := make(map[string]string)
		for _, field := range strings.Fields(line) {
			key, value, _ := strings.Cut(field, "=")
			fields[key] = value
		}
		if fields["name"] == clientName && strings.Contains(fields["flags"], "P") {
			ids = append(ids, fields["id"])
		}
	}
	return ids
}

func clientList(t *testing.T, addr string) string {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = rdb.Close() }()
	list, err := rdb.ClientList(t.Context()).Result()
	if err != nil {
		t.Errorf("CLIENT LIST: %v", err)
	}
	return list
}

// up returns the servers that answer.
func (s *scene) up() []*redistest.Server {
	return slices.DeleteFunc(slices.Clone(s.servers), func(server *redistest.Server) bool {
		rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
		defer func() { _ = rdb.Close() }()
		return rdb.Ping(context.Background()).Err() != nil
	})
}

// assertNoConnections asserts that no server has a subscription of any row.
func (s *scene) assertNoConnections(t *testing.T) {
	t.Helper()
	if s.proxy != nil {
		s.proxy.Heal()
		s.proxy.WaitConns(0)
		s.proxy.Cut() // the server does not know yet of those that were dropped silently
	}
	for _, server := range s.up() {
		for _, r := range s.rows {
			s.awaitNoConnections(t, r, server.Addr())
		}
	}
}

func (s *scene) awaitNoConnections(t *testing.T, r *row, addr string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("connections to %s:\n%s", addr, clientList(t, addr))
		}
	}()
	s.await(t, r, tracetest.Patience, "no connection is left on "+addr, func() bool {
		return len(connectionsOf(t, addr, r.clientName())) == 0
	})
}

// await waits until holds returns true, and says on failure what the row has received.
func (s *scene) await(t *testing.T, r *row, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	late := time.After(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: %v later it does not hold: %s\nreported: %v\nreceived: %v\npublished: %v", r.name(), limit, what,
				tracetest.Texts(r.reports.All()), r.received.lastSeq(), s.publisher.state())
		}
	}
}

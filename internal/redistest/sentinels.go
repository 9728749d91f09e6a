// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	replicas  = 2
	sentinels = 3
	quorum    = 2
)

// masterName is the name of the master of the sentinels.
const masterName = "mymaster"

// Sentinels are three sentinels and the servers that they watch: a master and two replicas.
// The sentinels know each server by the address of a [Proxy], and tell it to clients. Its
// methods fail the test if they do not succeed. It must be used by one goroutine at a time.
type Sentinels struct {
	t         testing.TB
	members   []*member
	sentinels []*sentinel
}

// member is a server that the sentinels watch.
type member struct {
	*Server
	proxy *Proxy
	host  string        // the server connects to others from this address
	admin *redis.Client // does not use the proxy

	cutOff bool
}

// sentinel is the process of a sentinel.
type sentinel struct {
	*Server
	admin *redis.SentinelClient
}

// StartSentinels starts sentinels and their servers, and returns when all agree. They are
// killed when the test ends; see [Start]. A server counts as down after one second.
//
// args are arguments of redis-server for the servers.
//
// The servers have the addresses of their proxies, on 127.0.0.2. The sentinels connect to them
// from 127.0.0.3, and the servers to each other from 127.0.0.11 to 127.0.0.13. On systems
// other than Linux, these addresses must be added to the loopback interface first.
func StartSentinels(t testing.TB, args ...string) *Sentinels {
	t.Helper()
	needHosts(t, proxyHost, sentinelHost)
	s := &Sentinels{t: t}
	for range 1 + replicas {
		s.startMember(args)
	}
	for range sentinels {
		s.startSentinel()
	}
	s.WaitUntilHealthy()
	return s
}

func (s *Sentinels) startMember(args []string) {
	s.t.Helper()
	m := &member{host: peerHost(len(s.members))}
	needHosts(s.t, m.host)
	m.Server = newServer(s.t, slices.Concat([]string{
		"--bind-source-addr", m.host, "--replica-announce-ip", proxyHost,
		// A replica syncs at once, and does not wait for others.
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
	}, args))
	// A server that is restarted has the role that it had last.
	m.config = s.writeConfig(m.Server, "")
	m.startOnFreePort(anyPort)
	var err error
	if m.proxy, err = startProxy(s.t, net.JoinHostPort(proxyHost, strconv.Itoa(m.port)), m.Addr()); err != nil {
		s.t.Fatalf("start the proxy of a server: %v", err)
	}
	m.admin = redis.NewClient(&redis.Options{Addr: m.Addr(), ClientName: adminName, ReadTimeout: waitTimeout})
	s.t.Cleanup(func() { _ = m.admin.Close() })
	s.members = append(s.members, m)
	s.do(m, "config", "set", "replica-announce-port", m.port)
	if master := s.members[0]; m != master {
		s.do(m, "replicaof", proxyHost, master.port)
	}
	s.do(m, "config", "rewrite")
}

func (s *Sentinels) do(m *member, command ...any) {
	s.t.Helper()
	if err := m.admin.Do(context.Background(), command...).Err(); err != nil {
		s.t.Fatalf("server at %s: %v: %v", m.Addr(), command, err)
	}
}

// startSentinel starts a sentinel. If a failover fails, the next one begins after twice the
// failover timeout.
func (s *Sentinels) startSentinel() {
	s.t.Helper()
	server := newServer(s.t, []string{"--bind-source-addr", sentinelHost})
	server.sentinel = true
	server.config = s.writeConfig(server, fmt.Sprintf(`sentinel monitor %[1]s %[2]s %[3]d %[4]d
sentinel down-after-milliseconds %[1]s 1000
sentinel failover-timeout %[1]s 3000
sentinel parallel-syncs %[1]s %[5]d
sentinel announce-ip 127.0.0.1
`, masterName, proxyHost, s.members[0].port, quorum, replicas))
	server.startOnFreePort(sentinelPort)
	one := &sentinel{Server: server, admin: redis.NewSentinelClient(&redis.Options{Addr: server.Addr(), ReadTimeout: waitTimeout})}
	s.t.Cleanup(func() { _ = one.admin.Close() })
	s.sentinels = append(s.sentinels, one)
}

// writeConfig writes the first configuration of a server, and returns the path of the file.
// The server writes to it later.
func (s *Sentinels) writeConfig(server *Server, text string) string {
	s.t.Helper()
	path := filepath.Join(server.dir, "redis.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// MasterName returns the name of the master, for clients.
func (s *Sentinels) MasterName() string { return masterName }

// Addrs returns the addresses of the sentinels.
func (s *Sentinels) Addrs() []string {
	var addrs []string
	for _, one := range s.sentinels {
		addrs = append(addrs, one.Addr())
	}
	return addrs
}

// Sentinels returns the sentinels. Each may be killed, restarted, paused and resumed.
func (s *Sentinels) Sentinels() []*Server {
	var servers []*Server
	for _, one := range s.sentinels {
		servers = append(servers, one.Server)
	}
	return servers
}

// Servers returns the servers, the first master first. Each may be killed, restarted, paused
// and resumed. Their addresses are not those that the sentinels tell; see [Sentinels.Proxy].
func (s *Sentinels) Servers() []*Server {
	var servers []*Server
	for _, m := range s.members {
		servers = append(servers, m.Server)
	}
	return servers
}

// Proxy returns the proxy in front of a server. Other servers and the sentinels use it, too.
func (s *Sentinels) Proxy(of *Server) *Proxy {
	s.t.Helper()
	return s.member(of).proxy
}

// Client returns a new client of the master. It is closed when the test ends. Each option may
// change the options of the client.
func (s *Sentinels) Client(options ...func(*redis.FailoverOptions)) *redis.Client {
	o := &redis.FailoverOptions{MasterName: s.MasterName(), SentinelAddrs: s.Addrs()}
	for _, option := range options {
		option(o)
	}
	client := redis.NewFailoverClient(o)
	// The test may have closed it already, so an error has no meaning.
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *Sentinels) member(server *Server) *member {
	s.t.Helper()
	for _, m := range s.members {
		if m.Server == server {
			return m
		}
	}
	s.t.Fatalf("the sentinels do not watch the server at %s", server.Addr())
	return nil
}

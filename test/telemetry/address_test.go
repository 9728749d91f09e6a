// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// fakeSentinel starts a Sentinel that knows one master, no replicas and no other Sentinels.
func fakeSentinel(t *testing.T, master string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(master)
	m := miniredis.RunT(t)
	err := m.Server().Register("SENTINEL", func(c *server.Peer, _ string, args []string) {
		if len(args) > 0 && args[0] == "get-master-addr-by-name" {
			c.WriteStrings([]string{host, port})
			return
		}
		c.WriteLen(0)
	})
	if err != nil {
		t.Fatal(err)
	}
	return m.Addr()
}

// socketServer starts a server that also listens on a unix socket.
func socketServer(t *testing.T) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "socket")
	redistest.Start(t, "--unixsocket", path)
	return path
}

// addressCase makes a client, and returns the server attributes of its spans.
type addressCase func(t *testing.T) (rdb redis.UniversalClient, want []attribute.KeyValue)

// named has a host in its options that stands for the server of the test.
func named(host string) addressCase {
	return func(t *testing.T) (redis.UniversalClient, []attribute.KeyValue) {
		addr := redistest.Start(t).Addr()
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		rdb := redis.NewClient(&redis.Options{
			Addr: net.JoinHostPort(host, port),
			Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		})
		return rdb, []attribute.KeyValue{attribute.String("server.address", host), attribute.Int("server.port", n)}
	}
}

// onSocket has the path of a unix socket in its options.
func onSocket(network string) addressCase {
	return func(t *testing.T) (redis.UniversalClient, []attribute.KeyValue) {
		path := socketServer(t)
		return redis.NewClient(&redis.Options{Network: network, Addr: path}), []attribute.KeyValue{attribute.String("server.address", path)}
	}
}

// servers are clients with the server attributes that their spans have.
var servers = []struct {
	name, reason string
	client       addressCase
	counts       bool // the reply counts all receivers
}{{
	name:   "tcp",
	reason: "host and port of the options",
	client: named("127.0.0.1"),
	counts: true,
}, {
	name:   "host name",
	reason: "the name in the options, not what it resolves to",
	client: named("localhost"),
	counts: true,
}, {
	name:   "IPv6",
	reason: "without its brackets",
	client: named("::1"),
	counts: true,
}, {
	name:   "port alone",
	reason: "go-redis connects to this host, whose name is not known",
	client: func(t *testing.T) (redis.UniversalClient, []attribute.KeyValue) {
		_, port, err := net.SplitHostPort(redistest.Start(t).Addr())
		if err != nil {
			t.Fatal(err)
		}
		return redis.NewClient(&redis.Options{Addr: ":" + port}), nil
	},
	counts: true,
}, {
	name:   "unix",
	reason: "a path has no port",
	client: onSocket("unix"),
	counts: true,
}, {
	name:   "unix by its path",
	reason: "go-redis uses a socket if the address is an absolute path",
	client: onSocket(""),
	counts: true,
}, {
	name:   "Sentinel",
	reason: "the address in the options is not a server",
	client: func(t *testing.T) (redis.UniversalClient, []attribute.KeyValue) {
		s := redistest.Start(t)
		return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{fakeSentinel(t, s.Addr())}}), nil
	},
	counts: true,
}, {
	name:   "cluster",
	reason: "there are several servers, and each counts its own receivers",
	client: func(t *testing.T) (redis.UniversalClient, []attribute.KeyValue) {
		addr := redistest.Start(t).Addr()
		return redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: addr}}}}, nil
		}}), nil
	},
}, {
	name:   "ring",
	reason: "there are several servers",
	client: func(t *testing.T) (redis.UniversalClient, []attribute.KeyValue) {
		return redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"shard": redistest.Start(t).Addr()}}), nil
	},
}}

func TestServerAddress(t *testing.T) {
	for _, row := range servers {
		t.Run(row.name, func(t *testing.T) {
			ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
			rdb, want := row.client(t)
			t.Cleanup(func() { _ = rdb.Close() })
			client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
			sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
			tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
			for range sub.Messages(ctx) {
				break
			}
			pipe := rdb.Pipeline()
			client.PublishTo(ctx, pipe, "reports", "hello")
			if _, err := pipe.Exec(ctx); err != nil {
				t.Fatal(err)
			}
			_, span := client.FromRedis(&redis.Message{Channel: "reports"}).Start(ctx)
			span.End()

			spans := rec.Spans(t, 4)
			published := want
			if row.counts {
				published = append([]attribute.KeyValue{tracetest.Receivers(1)}, want...)
			}
			tracetest.AssertAttributes(t, spans[0], tracetest.Messaging("publish", "reports", published...)...)
			tracetest.AssertAttributes(t, spans[1], tracetest.Messaging("process", "reports", want...)...)
			tracetest.AssertAttributes(t, spans[2], tracetest.Messaging("create", "reports", want...)...)
			tracetest.AssertAttributes(t, spans[3], tracetest.Messaging("process", "reports", want...)...)
		})
	}
}

// The functions without options share their configuration, but each client has its own
// address.
func TestServerAddressOfEachClient(t *testing.T) {
	rec := tracetest.NewRecorder(t)
	tracetest.SetGlobalTracer(t, rec)
	ctx, one, other := tracetest.Context(t), redistest.Start(t).Client(), redistest.Start(t).Client()
	for i, rdb := range []*redis.Client{one, other, one, other} {
		tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", "hello"))
		tracetest.AssertAttributes(t, rec.Spans(t, i+1)[i], tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(0))...)
	}
	_, span := tracedpubsub.FromRedis(&redis.Message{Channel: "reports"}).Start(ctx)
	span.End()
	tracetest.AssertAttributes(t, rec.Spans(t, 5)[4], tracetest.Messaging("process", "reports")...)
}

// otherClient is the adapter of a client that is not of go-redis.
type otherClient struct{}

func (otherClient) Publish(ctx context.Context, channel string, message any) *redis.IntCmd {
	return redis.NewIntCmd(ctx, "publish", channel, message)
}

func (c otherClient) SPublish(ctx context.Context, channel string, message any) *redis.IntCmd {
	return c.Publish(ctx, channel, message)
}

// What another client sends and receives did not pass the server of the wrapped client.
func TestServerAddressOfAnotherLibrary(t *testing.T) {
	rec, ctx := tracetest.NewRecorder(t), tracetest.Context(t)
	rdb := redis.NewClient(&redis.Options{Addr: "redis.example:6379"})
	defer func() { _ = rdb.Close() }()
	c := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
	c.PublishTo(ctx, otherClient{}, "reports", "hello")
	c.SPublishTo(ctx, otherClient{}, "reports", "hello")
	_, span := tracedpubsub.NewMessage("reports", "", "hello", tracedpubsub.WithTracerProvider(rec)).Start(ctx)
	span.End()
	for _, s := range rec.Spans(t, 3) {
		for _, a := range s.Attributes() {
			if strings.HasPrefix(string(a.Key), "server.") {
				t.Errorf("%s has %s=%s", s.Name(), a.Key, a.Value.String())
			}
		}
	}
}

// Another client of go-redis has an address of its own.
func TestServerAddressOfAnotherClient(t *testing.T) {
	rec, ctx := tracetest.NewRecorder(t), tracetest.Context(t)
	one, other := redistest.Start(t).Client(), redistest.Start(t).Client()
	c := tracedpubsub.Wrap(one, tracedpubsub.WithTracerProvider(rec))
	tracetest.AssertSent(t, c.PublishTo(ctx, other, "reports", "hello"))
	tracetest.AssertAttributes(t, rec.Spans(t, 1)[0], tracetest.MessagingOn(other, "publish", "reports", tracetest.Receivers(0))...)
}

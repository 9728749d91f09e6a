// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Programs that come from go-redis rely on what its own tests of Pub/Sub assert. The tests
// of this file, and those of closed subscriptions, are about what is easily lost.

// clientClosings are states of a subscription in which its client is closed.
var clientClosings = []struct {
	name, reason string
	channels     []string
	reads        bool // it is consumed when the client is closed
}{
	{"consumed", "the connection is closed under the read", []string{"a"}, true},
	{"not consumed yet", "the first consumer finds that the client is closed", []string{"a"}, false},
	{"without a channel, consumed", "there is a connection that can be lost, as with go-redis", nil, true},
	{"without a channel, not consumed yet", "there is no connection, and none can be made", nil, false},
}

// A client that is closed ends the loops of its subscriptions, as Close does, and this is
// reported once.
func TestClosedClientEndsItsSubscriptions(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	for _, protocol := range []int{2, 3} {
		for _, state := range clientClosings {
			for _, way := range tracetest.Consumers {
				t.Run(fmt.Sprintf("RESP%d/%s/%s", protocol, state.name, way.Name), func(t *testing.T) {
					ctx := tracetest.Context(t)
					s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: protocol})
					sub := s.Subscription(t, state.channels...)
					received, ended := make(chan string, 10), make(chan struct{})
					consume := func() {
						defer close(ended)
						way.Consume(ctx, sub, func(m *tracedpubsub.Message) bool {
							received <- m.Payload
							return true
						})
					}
					switch {
					case state.reads && len(state.channels) > 0:
						go consume()
						tracetest.WaitForSubscribers(t, rdb, "a", 1)
						tracetest.PublishRaw(t, rdb, "a", "hello")
						if got := <-received; got != "hello" {
							t.Errorf("received %q, want hello", got)
						}
						_ = s.RDB.Close()
					case state.reads:
						go consume()
						// go-redis leaves a connection open that is made while the client is closed.
						tracetest.Eventually(t, "it is connected", func() bool { return s.RDB.PoolStats().PubSubStats.Active == 1 })
						_ = s.RDB.Close()
					default:
						_ = s.RDB.Close()
						go consume()
					}
					tracetest.ReturnsPromptly(t, way.Name, func() { <-ended })
					assertEndedByClient(t, s, sub)
					if t.Failed() {
						t.Logf("reason: %s", state.reason)
					}
				})
			}
		}
	}
}

// assertEndedByClient asserts that a subscription whose client was closed is like one that
// was closed, without a call of its Close method.
func assertEndedByClient(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) {
	t.Helper()
	reports := s.Reports.WaitUntil(t, "that the client is closed", func(got []tracetest.Report) bool { return len(got) > 0 })
	if !errors.Is(reports[0], redis.ErrClosed) {
		t.Errorf("reported was %v, want redis.ErrClosed", reports[0].Error())
	}
	tracetest.WaitForNoGoroutines(t)
	assertClosed(t, sub)
	tracetest.WaitForNoGoroutines(t)
	if reports, others := s.Reports.All(), s.Reports.Others(); len(reports) != 1 || len(others) > 0 {
		t.Errorf("reported was %v and %v, want one report", tracetest.Texts(reports), others)
	}
}

// Several loops of one subscription all end.
func TestClosedClientEndsAllLoops(t *testing.T) {
	server, _ := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	ended := make(chan error, 2)
	go func() {
		ended <- sub.Process(tracetest.Context(t), func(context.Context, *tracedpubsub.Message) error { return nil })
	}()
	go func() {
		for range sub.Channel() {
		}
		ended <- nil
	}()
	_ = s.RDB.Close()
	tracetest.ReturnsPromptly(t, "every loop", func() {
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Errorf("Process returned %v, want nil", err)
			}
		}
	})
	assertEndedByClient(t, s, sub)
}

var pingCalls = regexp.MustCompile(`cmdstat_ping:calls=(\d+)`)

// pings returns how many PING commands a server has got.
func pings(t *testing.T, rdb *redis.Client) int {
	t.Helper()
	stats, err := rdb.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatalf("INFO: %v", err)
	}
	found := pingCalls.FindStringSubmatch(stats)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pingedClients are clients of one server and of a cluster, with clients of all servers.
func pingedClients(t *testing.T) map[string]func(protocol int) (rdb redis.UniversalClient, admins []*redis.Client) {
	server, admin := tracetest.StartServer(t)
	cluster := startCluster(t)
	var nodes []*redis.Client
	for _, node := range cluster.Masters() {
		nodes = append(nodes, cluster.admin(node))
	}
	return map[string]func(int) (redis.UniversalClient, []*redis.Client){
		"Client": func(protocol int) (redis.UniversalClient, []*redis.Client) {
			return redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: protocol}), []*redis.Client{admin}
		},
		"ClusterClient": func(protocol int) (redis.UniversalClient, []*redis.Client) {
			return cluster.Client(func(o *redis.ClusterOptions) { o.Protocol = protocol }), nodes
		},
	}
}

// Ping connects a subscription that has no channel yet, and a channel can be added later.
func TestPingWithoutAChannel(t *testing.T) {
	redistest.Long(t)
	for name, open := range pingedClients(t) {
		for _, protocol := range []int{2, 3} {
			for _, payload := range [][]string{nil, {"are you there"}} {
				t.Run(fmt.Sprintf("%s/RESP%d/%q", name, protocol, payload), func(t *testing.T) {
					ctx, reports := tracetest.Context(t), tracetest.NewReportLog()
					rdb, admins := open(protocol)
					defer rdb.Close()
					total := func() (n int) {
						for _, admin := range admins {
							n += pings(t, admin)
						}
						return n
					}
					before := total()
					sub := tracedpubsub.Wrap(rdb, tracedpubsub.WithErrorHandler(reports.Handle)).Subscribe(ctx)
					defer sub.Close()
					for range 2 {
						if err := sub.Ping(ctx, payload...); err != nil {
							t.Errorf("Ping: %v", err)
						}
					}
					tracetest.Eventually(t, "a server got both", func() bool { return total() == before+2 })
					channel := t.Name() // nodes of a cluster may still forward messages of other tests
					if err := sub.Subscribe(ctx, channel); err != nil {
						t.Fatal(err)
					}
					tracetest.WaitReady(t, sub)
					tracetest.AssertSent(t, rdb.Publish(ctx, channel, "hello"))
					tracetest.AssertReceives(t, sub, "hello")
					reports.AssertNone(t)
					_ = sub.Close()
					tracetest.WaitForNoGoroutines(t)
					assertClosed(t, sub)
				})
			}
		}
	}
}

// If there is no server, Ping has an error. It is not redis.ErrClosed, since the
// subscription can still be used.
func TestPingWithoutAChannelAndWithoutAServer(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.Subscription(t)
	if err := sub.Ping(t.Context()); err == nil || errors.Is(err, redis.ErrClosed) {
		t.Errorf("Ping returned %v, want that there is no server", err)
	}
	server.Restart()
	tracetest.Eventually(t, "Ping finds the server", func() bool { return sub.Ping(t.Context()) == nil })
	s.Reports.AssertNone(t)
}

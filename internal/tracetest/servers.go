// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// OnEachServer runs test against a redis-server and against miniredis.
func OnEachServer(t *testing.T, test func(t *testing.T, rdb *redis.Client)) {
	t.Helper()
	t.Run("redis-server", func(t *testing.T) {
		test(t, redistest.Start(t).Client())
	})
	t.Run("miniredis", func(t *testing.T) {
		rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = rdb.Close() })
		test(t, rdb)
	})
}

// OnMiniredis reports whether OnEachServer runs the test against miniredis.
func OnMiniredis(t *testing.T) bool { return strings.HasSuffix(t.Name(), "/miniredis") }

// StartServer starts a redis-server and returns it with a client.
func StartServer(t *testing.T, args ...string) (*redistest.Server, *redis.Client) {
	t.Helper()
	server := redistest.Start(t, args...)
	return server, server.Client()
}

// Unlimited are the arguments of a redis-server that never disconnects a slow
// subscriber.
var Unlimited = []string{"--client-output-buffer-limit", "pubsub", "0", "0", "0"}

// Subscribers returns how many connections are subscribed to a channel.
func Subscribers(t *testing.T, rdb *redis.Client, channel string) int64 {
	t.Helper()
	n, err := rdb.PubSubNumSub(t.Context(), channel).Result()
	if err != nil {
		t.Fatalf("PUBSUB NUMSUB: %v", err)
	}
	return n[channel]
}

// WaitForSubscribers waits until n connections are subscribed to a channel.
func WaitForSubscribers(t *testing.T, rdb *redis.Client, channel string, n int64) {
	t.Helper()
	what := fmt.Sprintf("%d connections are subscribed to %s", n, channel)
	Eventually(t, what, func() bool { return Subscribers(t, rdb, channel) == n })
}

// KillSubscriptions ends the connections of all subscriptions, as an operator does, and
// returns how many there were.
func KillSubscriptions(t *testing.T, rdb *redis.Client) int64 {
	t.Helper()
	n, err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Result()
	if err != nil {
		t.Fatalf("CLIENT KILL: %v", err)
	}
	return n
}

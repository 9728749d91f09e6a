// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// limited returns a client of a limitedServer, as the user "limited".
func limited(t *testing.T) *redis.Client {
	t.Helper()
	return tracetest.NoRetryClient(t, &redis.Options{Addr: limitedServer(t).Addr(), Username: "limited", Password: "secret"})
}

// limitedServer starts a server with a user "limited" that may publish on some channels
// only. The channel "forbidden" is not one of them.
func limitedServer(t *testing.T) *redistest.Server {
	t.Helper()
	server := redistest.Start(t)
	limit(t, server.Client())
	return server
}

// limit creates the user.
func limit(t *testing.T, rdb *redis.Client) {
	t.Helper()
	err := rdb.ACLSetUser(tracetest.Context(t), "limited", "on", ">secret", "~*", "+@all", "resetchannels", "&reports", "&allowed", "&7").Err()
	if err != nil {
		t.Fatal(err)
	}
}

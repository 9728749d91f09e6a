// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// OtherClient returns another client of the server of rdb. It is closed when the test
// ends, and so are the other clients of this package.
func OtherClient(t *testing.T, rdb *redis.Client) *redis.Client {
	t.Helper()
	other := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
	t.Cleanup(func() { _ = other.Close() })
	return other
}

// UnreachableClient returns a client of an address where no server listens.
func UnreachableClient(t *testing.T) *redis.Client {
	t.Helper()
	server := redistest.Start(t)
	server.Kill()
	return NoRetryClient(t, &redis.Options{Addr: server.Addr()})
}

// NoRetryClient returns a client that sends each command once and dials once for it.
func NoRetryClient(t *testing.T, opt *redis.Options) *redis.Client {
	t.Helper()
	opt.MaxRetries, opt.DialerRetries = -1, 1
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

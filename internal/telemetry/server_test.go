// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

func TestServerAttributes(t *testing.T) {
	for _, row := range []struct {
		name, reason     string
		network, address string
		want             []attribute.KeyValue
	}{
		{"host and port", "the usual address", "tcp", "redis.example:6379",
			[]attribute.KeyValue{attribute.String("server.address", "redis.example"), attribute.Int("server.port", 6379)}},
		{"IPv6", "without its brackets", "tcp", "[::1]:6379",
			[]attribute.KeyValue{attribute.String("server.address", "::1"), attribute.Int("server.port", 6379)}},
		{"unix socket", "a path has no port, whatever it looks like", "unix", "/tmp/redis:6379",
			[]attribute.KeyValue{attribute.String("server.address", "/tmp/redis:6379")}},
		{"host alone", "a dialer of the application may need no port", "tcp", "redis.example",
			[]attribute.KeyValue{attribute.String("server.address", "redis.example")}},
		{"service name", "which is no number", "tcp", "redis.example:redis",
			[]attribute.KeyValue{attribute.String("server.address", "redis.example")}},
		{"port alone", "the host is not known", "tcp", ":6379", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			assertAttributes(t, NewServer(row.network, row.address).appendAttributes(nil), row.want...)
		})
	}
	assertAttributes(t, (*Server)(nil).appendAttributes(nil))
}

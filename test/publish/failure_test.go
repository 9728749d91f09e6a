// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// closingServer returns the address of a server that closes each connection at once.
func closingServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

// publishFailures are failures that a server or the network causes, or the caller.
var publishFailures = []struct {
	name, reason string
	client       func(t *testing.T) *redis.Client
	ctx          func(t *testing.T, ctx context.Context) context.Context
	errorType    string
}{{
	name:   "NOPERM",
	reason: "the error.type is the prefix of the error reply",
	client: func(t *testing.T) *redis.Client {
		server := redistest.Start(t)
		err := server.Client().ACLSetUser(tracetest.Context(t), "limited", "on", ">secret", "+@all", "resetchannels", "&allowed").Err()
		if err != nil {
			t.Fatal(err)
		}
		return tracetest.NoRetryClient(t, &redis.Options{Addr: server.Addr(), Username: "limited", Password: "secret"})
	},
	errorType: "NOPERM",
}, {
	name:   "NOAUTH",
	reason: "the server requires a password",
	client: func(t *testing.T) *redis.Client {
		return tracetest.NoRetryClient(t, &redis.Options{Addr: redistest.Start(t, "--requirepass", "secret").Addr()})
	},
	errorType: "NOAUTH",
}, {
	name:      "dead address",
	reason:    "no server listens",
	client:    tracetest.UnreachableClient,
	errorType: "connection",
}, {
	name:   "closed at once",
	reason: "the server accepts the connection and closes it",
	client: func(t *testing.T) *redis.Client {
		return tracetest.NoRetryClient(t, &redis.Options{Addr: closingServer(t)})
	},
	errorType: "connection",
}, {
	name:   "closed client",
	reason: "the client is closed",
	client: func(t *testing.T) *redis.Client {
		rdb := redistest.Start(t).Client()
		if err := rdb.Close(); err != nil {
			t.Fatal(err)
		}
		return rdb
	},
	errorType: "connection",
}, {
	name:   "canceled",
	reason: "the caller canceled the context",
	client: func(t *testing.T) *redis.Client { return redistest.Start(t).Client() },
	ctx: func(_ *testing.T, ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx
	},
	errorType: "canceled",
}, {
	name:   "deadline",
	reason: "the deadline of the caller has passed",
	client: func(t *testing.T) *redis.Client { return redistest.Start(t).Client() },
	ctx: func(t *testing.T, ctx context.Context) context.Context {
		ctx, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
		t.Cleanup(cancel)
		return ctx
	},
	errorType: "timeout",
}, {
	name:   "server that hangs",
	reason: "the ReadTimeout of the client has passed",
	client: func(t *testing.T) *redis.Client {
		server := redistest.Start(t)
		rdb := tracetest.NoRetryClient(t, &redis.Options{Addr: server.Addr(), ReadTimeout: 50 * time.Millisecond})
		if err := rdb.Ping(tracetest.Context(t)).Err(); err != nil {
			t.Fatal(err)
		}
		server.Pause()
		return rdb
	},
	errorType: "timeout",
}, {
	name:   "pool timeout",
	reason: "all connections are in use",
	client: func(t *testing.T) *redis.Client {
		rdb := tracetest.NoRetryClient(t, &redis.Options{Addr: redistest.Start(t).Addr(), PoolSize: 1, PoolTimeout: time.Millisecond})
		conn := rdb.Conn()
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.Ping(tracetest.Context(t)).Err(); err != nil {
			t.Fatal(err)
		}
		return rdb
	},
	errorType: "timeout",
}}

// Failures of servers and networks are on the command and on the span, with an error.type.
// Those that need no server are in TestErrorTypes of test/telemetry.
func TestPublishFails(t *testing.T) {
	for _, row := range publishFailures {
		t.Run(row.name, func(t *testing.T) {
			ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
			rdb := row.client(t)
			client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
			if row.ctx != nil {
				ctx = row.ctx(t, ctx)
			}
			err := client.Publish(ctx, "reports", "hello").Err()
			if err == nil {
				t.Fatalf("Publish succeeded: %s", row.reason)
			}
			span := rec.Spans(t, 1)[0]
			tracetest.AssertFailed(t, span, row.errorType)
			tracetest.AssertAttributes(t, span, tracetest.MessagingOn(rdb, "publish", "reports", attribute.String("error.type", row.errorType))...)
			if got := span.Status().Description; got != err.Error() {
				t.Errorf("the status description is %q, want %q", got, err)
			}
		})
	}
}

// The command has the error of go-redis, so that errors.Is works.
func TestPublishReturnsTheErrorOfGoRedis(t *testing.T) {
	rdb := redistest.Start(t).Client()
	if err := rdb.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tracedpubsub.Publish(tracetest.Context(t), rdb, "reports", "hello").Err(); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("Publish on a closed client has %v, want %v", err, redis.ErrClosed)
	}
}

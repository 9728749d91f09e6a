// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"testing"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/interop"
)

// goClient is a client in this process.
type goClient struct {
	name string
	read func(t *testing.T, addr string) <-chan report
	// publisher returns what tracedpubsub.Publish publishes through.
	publisher func(t *testing.T, addr string) tracedpubsub.Publisher
}

var goClients = []goClient{
	{"go-redis", readGoRedis, func(t *testing.T, addr string) tracedpubsub.Publisher { return newGoRedis(t, addr) }},
	{"rueidis", readRueidis, func(t *testing.T, addr string) tracedpubsub.Publisher {
		return interop.RueidisPublisher{Client: newRueidis(t, addr)}
	}},
	{"redigo", readRedigo, func(t *testing.T, addr string) tracedpubsub.Publisher {
		return interop.RedigoPublisher{Pool: newRedigo(t, addr)}
	}},
}

func newGoRedis(t *testing.T, addr string) *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func newRueidis(t *testing.T, addr string) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func newRedigo(t *testing.T, addr string) *redigo.Pool {
	pool := &redigo.Pool{DialContext: func(ctx context.Context) (redigo.Conn, error) {
		return redigo.DialContext(ctx, "tcp", addr)
	}}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

func readGoRedis(t *testing.T, addr string) <-chan report {
	sub := tracedpubsub.Subscribe(t.Context(), newGoRedis(t, addr), channel)
	t.Cleanup(func() { _ = sub.Close() })
	return readAll(t, sub.Process)
}

func readRueidis(t *testing.T, addr string) <-chan report {
	client := newRueidis(t, addr)
	return readAll(t, func(ctx context.Context, handle tracedpubsub.Handler) error {
		return interop.ReceiveRueidis(ctx, client, channel, handle)
	})
}

func readRedigo(t *testing.T, addr string) <-chan report {
	conn := newRedigo(t, addr).Get()
	t.Cleanup(func() { _ = conn.Close() })
	return readAll(t, func(ctx context.Context, handle tracedpubsub.Handler) error {
		return interop.ReceiveRedigo(ctx, conn, channel, handle)
	})
}

// readAll reports what receive passes to its handler. It stops when the test ends.
func readAll(t *testing.T, receive func(context.Context, tracedpubsub.Handler) error) <-chan report {
	ctx, cancel := context.WithCancel(context.Background())
	reports, ended := make(chan report, pending), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(reports)
		_ = receive(ctx, func(ctx context.Context, msg *tracedpubsub.Message) error {
			select {
			case reports <- reportOf(ctx, msg.Payload):
			case <-ctx.Done():
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return reports
}

// reportOf returns what a handler sees.
func reportOf(ctx context.Context, payload string) report {
	r := report{Payload: []byte(payload), Baggage: make(map[string]string)}
	for _, m := range baggage.FromContext(ctx).Members() {
		r.Baggage[m.Key()] = m.Value()
	}
	if span, ok := trace.SpanFromContext(ctx).(sdktrace.ReadOnlySpan); ok {
		r.Parent = idOf(span.Parent())
	}
	return r
}

// idOf returns the trace ID and span ID of sc, or nothing if it is not valid.
func idOf(sc trace.SpanContext) string {
	if !sc.IsValid() {
		return ""
	}
	return sc.TraceID().String() + "-" + sc.SpanID().String()
}

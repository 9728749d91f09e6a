// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisoteltest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// tracing is where the spans of both go.
type tracing struct {
	*sdktrace.TracerProvider
	spans *tracetest.SpanRecorder
}

func newTracing(t *testing.T) *tracing {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return &tracing{provider, spans}
}

func (tr *tracing) redisotel(t *testing.T, rdb redis.UniversalClient) {
	t.Helper()
	if err := redisotel.InstrumentTracing(rdb, redisotel.WithTracerProvider(tr), redisotel.WithDialFilter(true)); err != nil {
		t.Fatal(err)
	}
}

func (tr *tracing) hook(t *testing.T, rdb redis.UniversalClient) {
	t.Helper()
	err := tracedpubsub.Instrument(rdb, func(string) bool { return true }, tracedpubsub.WithTracerProvider(tr))
	if err != nil {
		t.Fatal(err)
	}
}

// orders are those in which the two may be installed.
var orders = []struct {
	name, reason string
	install      func(tr *tracing, t *testing.T, rdb redis.UniversalClient)
	statement    string // what redisotel sees of a payload: it, or its envelope
	first        bool   // redisotel is
}{{
	name:   "redisotel first",
	reason: "its span is around ours, and sees the command as the caller made it",
	install: func(tr *tracing, t *testing.T, rdb redis.UniversalClient) {
		tr.redisotel(t, rdb)
		tr.hook(t, rdb)
	},
	statement: "publish reports hello",
	first:     true,
}, {
	name:   "hook first",
	reason: "its span is within ours, and sees the command as it is sent",
	install: func(tr *tracing, t *testing.T, rdb redis.UniversalClient) {
		tr.hook(t, rdb)
		tr.redisotel(t, rdb)
	},
	statement: `publish reports {"tracedpubsub":1,`,
}}

// tree runs do within a span called caller, and returns the path of each span below it,
// sorted. Spans that are not below it are a failure.
func (tr *tracing) tree(t *testing.T, do func(ctx context.Context)) []string {
	t.Helper()
	tr.spans.Reset()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ctx, caller := tr.Tracer("caller").Start(ctx, "caller")
	do(ctx)
	caller.End()

	ended := tr.spans.Ended()
	if started := len(tr.spans.Started()); started != len(ended) {
		t.Errorf("%d spans started, %d ended", started, len(ended))
	}
	var paths []string
	for _, s := range ended {
		if s.Name() == "caller" || isHandshake(s.Name()) {
			continue
		}
		path := tr.path(s)
		if !strings.HasPrefix(path, "caller > ") {
			t.Errorf("%q is not below the caller's span", path)
		}
		paths = append(paths, strings.TrimPrefix(path, "caller > "))
	}
	slices.Sort(paths)
	return paths
}

// isHandshake says of a span of redisotel whether it is about a connection that is new.
func isHandshake(name string) bool {
	return name == "hello" || name == "client" || strings.HasPrefix(name, "redis.pipeline client")
}

func (tr *tracing) path(s sdktrace.ReadOnlySpan) string {
	for _, parent := range tr.spans.Ended() {
		if parent.SpanContext().SpanID() == s.Parent().SpanID() {
			return tr.path(parent) + " > " + s.Name()
		}
	}
	return s.Name()
}

func assertTree(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the spans are\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBesideRedisotel(t *testing.T) {
	for _, order := range orders {
		t.Run(order.name, func(t *testing.T) {
			tr, rdb := newTracing(t), redistest.Start(t).Client()
			order.install(tr, t, rdb)
			sub := subscribe(t, tr, rdb)

			got := tr.tree(t, func(ctx context.Context) {
				if err := rdb.Publish(ctx, "reports", "hello").Err(); err != nil {
					t.Fatal(err)
				}
				receive(t, ctx, sub, 1)
			})
			if order.first {
				assertTree(t, got, "publish", "publish > publish reports", "publish > publish reports > process reports")
			} else {
				assertTree(t, got, "publish reports", "publish reports > publish", "publish reports > process reports")
			}
			if got := statement(tr, "publish"); !strings.HasPrefix(got, order.statement) {
				t.Errorf("db.statement is %q, want %q: %s", got, order.statement, order.reason)
			}

			for _, pipelined := range []struct {
				name string
				run  func(ctx context.Context, fill func(redis.Pipeliner) error) ([]redis.Cmder, error)
			}{{"redis.pipeline publish", rdb.Pipelined}, {"redis.pipeline multi publish exec", rdb.TxPipelined}} {
				got := tr.tree(t, func(ctx context.Context) {
					_, err := pipelined.run(ctx, func(pipe redis.Pipeliner) error {
						pipe.Publish(ctx, "reports", "hello")
						pipe.Publish(ctx, "reports", "hello")
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
					receive(t, ctx, sub, 2)
				})
				outside, inside := pipelined.name+" > ", ""
				if !order.first {
					outside, inside = "", "send reports > "
				}
				assertTree(t, got, inside+pipelined.name,
					outside+"create reports", outside+"create reports > process reports",
					outside+"create reports", outside+"create reports > process reports",
					outside+"send reports")
			}
		})
	}
}

func TestBesideRedisotelOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	for _, order := range orders {
		t.Run(order.name, func(t *testing.T) {
			tr, rdb := newTracing(t), cluster.Client()
			order.install(tr, t, rdb) // redisotel is on the nodes, whatever the order
			sub := subscribe(t, tr, rdb)
			if err := rdb.Publish(context.Background(), "warm up", "").Err(); err != nil { // go-redis asks for the slots, and redisotel tells
				t.Fatal(err)
			}
			got := tr.tree(t, func(ctx context.Context) {
				if err := rdb.Publish(ctx, "reports", "hello").Err(); err != nil {
					t.Fatal(err)
				}
				receive(t, ctx, sub, 1)
			})
			assertTree(t, got, "publish reports", "publish reports > publish", "publish reports > process reports")
			got = tr.tree(t, func(ctx context.Context) {
				err := rdb.Watch(ctx, func(tx *redis.Tx) error { return tx.Publish(ctx, "reports", "hello").Err() }, "key")
				if err != nil {
					t.Fatal(err)
				}
				receive(t, ctx, sub, 1)
			})
			got = slices.DeleteFunc(got, func(path string) bool { return path == "watch" || path == "unwatch" })
			if order.first {
				assertTree(t, got, "publish", "publish > publish reports", "publish > publish reports > process reports")
			} else {
				assertTree(t, got, "publish reports", "publish reports > publish", "publish reports > process reports")
			}
		})
	}
}

func subscribe(t *testing.T, tr *tracing, rdb redis.UniversalClient) *tracedpubsub.PubSub {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	sub := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(tr)).Subscribe(ctx, "reports")
	t.Cleanup(func() { _ = sub.Close() })
	if err := sub.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return sub
}

func receive(t *testing.T, ctx context.Context, sub *tracedpubsub.PubSub, n int) {
	t.Helper()
	for range n {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.Payload != "hello" {
			t.Errorf("received %q", m.Payload)
		}
		_, span := m.Start(context.Background())
		span.End()
	}
}

func statement(tr *tracing, name string) string {
	for _, s := range tr.spans.Ended() {
		for _, a := range s.Attributes() {
			if s.Name() == name && a.Key == "db.statement" {
				return a.Value.AsString()
			}
		}
	}
	return ""
}

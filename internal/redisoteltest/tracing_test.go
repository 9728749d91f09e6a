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
)

// tracing has the spans of both libraries.
type tracing struct {
	*sdktrace.TracerProvider
	spans   *tracetest.SpanRecorder
	options []redisotel.TracingOption
}

func newTracing(t *testing.T) *tracing {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return &tracing{provider, spans, []redisotel.TracingOption{redisotel.WithTracerProvider(provider), redisotel.WithDialFilter(true)}}
}

func (tr *tracing) redisotel(t *testing.T, rdb redis.UniversalClient) {
	t.Helper()
	if err := redisotel.InstrumentTracing(rdb, tr.options...); err != nil {
		t.Fatal(err)
	}
}

func (tr *tracing) hook(t *testing.T, rdb redis.UniversalClient, opts ...tracedpubsub.Option) {
	t.Helper()
	opts = append(opts, tracedpubsub.WithTracerProvider(tr))
	err := tracedpubsub.Instrument(rdb, func(string) bool { return true }, opts...)
	if err != nil {
		t.Fatal(err)
	}
}

// order is an order in which the two libraries are installed.
type order struct {
	name, reason string
	install      func(tr *tracing, t *testing.T, rdb redis.UniversalClient, opts ...tracedpubsub.Option)
	statement    string // what redisotel sees: the payload or its envelope
	first        bool   // redisotel is the first one
}

var orders = []order{{
	name:   "redisotel first",
	reason: "its span is around that of the hook, and has the command of the caller",
	install: func(tr *tracing, t *testing.T, rdb redis.UniversalClient, opts ...tracedpubsub.Option) {
		tr.redisotel(t, rdb)
		tr.hook(t, rdb, opts...)
	},
	statement: "spublish reports hello",
	first:     true,
}, {
	name:   "hook first",
	reason: "its span is within that of the hook, and has the command that is sent",
	install: func(tr *tracing, t *testing.T, rdb redis.UniversalClient, opts ...tracedpubsub.Option) {
		tr.hook(t, rdb, opts...)
		tr.redisotel(t, rdb)
	},
	statement: `spublish reports {"tracedpubsub":1,`,
}}

// tree runs do within a span called caller, and returns the path of each span below it,
// sorted. The path of a span that is not below it begins with noCaller.
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
		if s.Name() == "caller" || isUpkeep(s.Name()) {
			continue
		}
		path, below := strings.CutPrefix(tr.path(s), "caller > ")
		if !below {
			path = noCaller + path
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

const noCaller = "no caller: "

// isUpkeep reports whether a span of redisotel is about a new connection or the state of a
// cluster.
func isUpkeep(name string) bool {
	return name == "hello" || name == "client" || name == "command" ||
		strings.HasPrefix(name, "cluster ") || strings.HasPrefix(name, "redis.pipeline client")
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

func subscribe(t *testing.T, tr *tracing, rdb redis.UniversalClient) *tracedpubsub.PubSub {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	sub := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(tr)).SSubscribe(ctx, "reports")
	t.Cleanup(func() { _ = sub.Close() })
	if err := sub.Subscribe(ctx, "reports"); err != nil {
		t.Fatal(err)
	}
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

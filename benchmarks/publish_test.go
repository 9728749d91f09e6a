// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// newTestEnv returns an Env whose spans are kept.
func newTestEnv(t *testing.T) (*Env, *tracetest.InMemoryExporter) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	e := NewEnv(redistest.Start(t, noLimit...).Addr(), exporter)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, exporter
}

// exported returns the spans that there are by now, and forgets them.
func exported(t *testing.T, e *Env, exporter *tracetest.InMemoryExporter) []sdktrace.ReadOnlySpan {
	t.Helper()
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	defer exporter.Reset()
	return exporter.GetSpans().Snapshots()
}

// published says what a publisher is to do, when spans are sampled.
var published = []struct {
	name, reason string
	open         func(Kind, string) (decoded, error) // nil: the payload is sent without an envelope
	single       trace.SpanKind                      // of the span of one message; unspecified: it has none
	batch        map[trace.SpanKind]int              // spans of a pipeline of three; nil: it has no batch of its own
	bearsContext bool                                // of its own span
}{
	{Raw, "it knows nothing of tracing", nil, 0, map[trace.SpanKind]int{}, false},
	{Floor, "its envelope is one that was ready", libraryDecode, trace.SpanKindProducer, map[trace.SpanKind]int{trace.SpanKindProducer: 3}, false},
	{Library, "a span and an envelope for each message", libraryDecode, trace.SpanKindProducer, map[trace.SpanKind]int{trace.SpanKindProducer: 3}, true},
	{LibraryDropped, "metrics are no part of spans", libraryDecode, trace.SpanKindProducer, map[trace.SpanKind]int{trace.SpanKindProducer: 3}, true},
	{LibraryAccounting, "numbers are no part of spans", libraryDecode, trace.SpanKindProducer, map[trace.SpanKind]int{trace.SpanKindProducer: 3}, true},
	{LibraryHook, "the batch has a span besides", libraryDecode, trace.SpanKindProducer, map[trace.SpanKind]int{trace.SpanKindProducer: 3, trace.SpanKindClient: 1}, true},
	{LibraryBatch, "the batch has the only span", libraryDecode, trace.SpanKindProducer, map[trace.SpanKind]int{trace.SpanKindProducer: 1}, true},
	{Tutorial, "the same by hand", tutorialDecode, trace.SpanKindProducer, map[trace.SpanKind]int{trace.SpanKindProducer: 3}, true},
	{Redisotel, "a span for each command or pipeline, and no context", nil, trace.SpanKindClient, map[trace.SpanKind]int{trace.SpanKindClient: 1}, false},
	{RedisotelBare, "the same, and says less", nil, trace.SpanKindClient, map[trace.SpanKind]int{trace.SpanKindClient: 1}, false},
	{Rueidis, "it knows nothing of tracing", nil, 0, map[trace.SpanKind]int{}, false},
	{Rueidisotel, "a span for each command or pipeline, and no context", nil, trace.SpanKindClient, map[trace.SpanKind]int{trace.SpanKindClient: 1}, false},
}

// Each publisher sends what its consumers read, and makes the spans that it is said
// to make: nobody is fast because he leaves something out.
func TestPublishersDoWhatTheySay(t *testing.T) {
	e, exporter := newTestEnv(t)
	if len(published) != len(publishers) {
		t.Fatalf("%d publishers are tested, of %d", len(published), len(publishers))
	}
	for i, row := range published {
		p := publishers[i]
		if p.name != row.name {
			t.Fatalf("publisher %d is %q, want %q", i, p.name, row.name)
		}
		for _, kind := range Kinds {
			s := Setting{Kind: kind, Size: Small, Sampling: Sampled, Channels: 1}
			t.Run(row.name+"/"+string(kind), func(t *testing.T) {
				connected, err := p.connect(e, s)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = connected.close() })
				next := listen(t, e, "publish:0")
				exported(t, e, exporter) // what connecting has made

				if err := connected.publish(e.context(s), "publish:0", s.Payload()); err != nil {
					t.Fatal(err)
				}
				parent := assertPayload(t, row.open, s, next())
				spans := withoutHandshakes(exported(t, e, exporter))
				if row.single == trace.SpanKindUnspecified {
					assertKinds(t, row.reason, spans, map[trace.SpanKind]int{})
				} else {
					assertKinds(t, row.reason, spans, map[trace.SpanKind]int{row.single: 1})
				}
				if row.bearsContext {
					assertBears(t, row.reason, spans, row.single, parent)
				}

				if err := connected.batch(e.context(s), []string{"publish:0", "publish:0", "publish:0"}, s.Payload()); err != nil {
					t.Fatal(err)
				}
				var parents []trace.SpanContext
				for range 3 {
					parents = append(parents, assertPayload(t, row.open, s, next()))
				}
				spans = withoutHandshakes(exported(t, e, exporter))
				assertKinds(t, row.reason, spans, row.batch)
				if row.bearsContext {
					assertBears(t, row.reason, spans, trace.SpanKindProducer, parents...)
				}
			})
		}
	}
}

// listen returns what returns the next message on a channel.
func listen(t *testing.T, e *Env, channel string) func() string {
	t.Helper()
	sub := e.rdb.Subscribe(t.Context(), channel)
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		m, err := sub.ReceiveTimeout(t.Context(), patience)
		if err != nil {
			t.Fatal(err)
		}
		return m.(*redis.Message).Payload
	}
}

// assertPayload asserts that a message has the payload of s, and returns the context
// in it.
func assertPayload(t *testing.T, open func(Kind, string) (decoded, error), s Setting, message string) trace.SpanContext {
	t.Helper()
	d := decoded{text: message, carrier: propagation.MapCarrier{}}
	if open != nil {
		var err error
		if d, err = open(s.Kind, message); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := d.payload(), s.Payload(); got != want {
		t.Errorf("payload is %.80q, want %.80q", got, want)
	}
	return contextIn(&d)
}

// contextIn returns the context that a message has, or one that is not valid.
func contextIn(d *decoded) trace.SpanContext {
	var carrier propagation.TextMapCarrier = &d.fields
	if d.carrier != nil {
		carrier = d.carrier
	}
	return trace.SpanContextFromContext(w3c.Extract(context.Background(), carrier))
}

func assertKinds(t *testing.T, reason string, spans []sdktrace.ReadOnlySpan, want map[trace.SpanKind]int) {
	t.Helper()
	got := make(map[trace.SpanKind]int)
	for _, s := range spans {
		got[s.SpanKind()]++
	}
	for kind := trace.SpanKindUnspecified; kind <= trace.SpanKindConsumer; kind++ {
		if got[kind] != want[kind] {
			t.Errorf("%s: %d spans of kind %v, want %d", reason, got[kind], kind, want[kind])
		}
	}
}

// assertBears asserts that the contexts in messages are those of spans.
func assertBears(t *testing.T, reason string, spans []sdktrace.ReadOnlySpan, kind trace.SpanKind, in ...trace.SpanContext) {
	t.Helper()
	ids := make(map[trace.SpanID]bool)
	for _, s := range spans {
		if s.SpanKind() == kind {
			ids[s.SpanContext().SpanID()] = true
		}
	}
	for _, c := range in {
		if !ids[c.SpanID()] {
			t.Errorf("%s: the context in a message is %v, want that of a span that was exported", reason, c.SpanID())
		}
	}
}

// withoutHandshakes leaves out the spans of connecting, which redisotel makes as well,
// whenever a connection is needed.
func withoutHandshakes(spans []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	var kept []sdktrace.ReadOnlySpan
	for _, s := range spans {
		switch s.Name() {
		case "redis.dial", "hello", "client", "redis.pipeline hello client", "redis.pipeline client":
		default:
			kept = append(kept, s)
		}
	}
	return kept
}

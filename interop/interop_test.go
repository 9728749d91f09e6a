// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

type (
	stub     = tracetest.SpanStub
	readable = propagation.MapCarrier
)

var emptyContext = context.Background()

// Each client reads what each client has published, and no message stops any of them. The
// readers are the same in all parts, and have made their connections within a span.
func TestInterop(t *testing.T) {
	server := redistest.Start(t)
	commands := prepareAll(t)
	readers := startReaders(t, server, commands)
	writers := startWriters(t, server, commands)
	for _, w := range writers {
		t.Run("payloads/"+w.name, func(t *testing.T) { testPayloads(t, w, readers) })
	}
	t.Run("cloudevents", func(t *testing.T) { testCloudEvents(t, server, commands, readers) })
	t.Run("vectors", func(t *testing.T) { testVectors(t, server.Client(), readers) })
}

// testPayloads publishes all, and then asserts what the readers have got.
func testPayloads(t *testing.T, w writer, readers []*reader) {
	var published []expected
	rows := payloads
	if !w.large {
		rows = payloads[:len(payloads)-1]
	}
	for _, p := range rows {
		parent, err := w.publish(newContext("tenant=acme,user=%C5%BE%2C"), p.payload)
		if err != nil {
			t.Errorf("publish %s: %v", p.name, err)
			break // what has been published is read nevertheless, or the readers would be behind
		}
		published = append(published, expected{p.payload, parent, map[string]string{"tenant": "acme", "user": "ž,"}})
	}
	for i, want := range published {
		t.Run(rows[i].name, func(t *testing.T) {
			for _, r := range readers {
				r.assertNext(t, rows[i].name, want)
			}
			if t.Failed() {
				t.Log(rows[i].reason)
			}
		})
	}
	// A consumer span must not become a child of the span in which the reader has connected.
	t.Run("no context", func(t *testing.T) {
		parent, err := w.publish(emptyContext, "hello")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range readers {
			r.assertNext(t, "no context", expected{payload: "hello", parent: parent})
		}
	})
}

// newContext returns a context with a span of its own and with baggage.
func newContext(baggage string) context.Context {
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: newTraceID(), SpanID: newSpanID(), TraceFlags: trace.FlagsSampled})
	ctx := w3c.Extract(emptyContext, readable{"baggage": baggage})
	return trace.ContextWithSpanContext(ctx, sc)
}

func newTraceID() (id trace.TraceID) {
	_, _ = rand.Read(id[:])
	return id
}

func newSpanID() (id trace.SpanID) {
	_, _ = rand.Read(id[:])
	return id
}

// testVectors publishes all vectors as they are, each with another message behind it.
func testVectors(t *testing.T, rdb *redis.Client, readers []*reader) {
	vectors := readVectors(t)
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for _, v := range vectors {
			p.Publish(t.Context(), channel, v.Message)
			p.Publish(t.Context(), channel, "still alive")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			for _, r := range readers {
				r.assertVector(t, &v)
				r.assertNext(t, "the one after "+v.Name, expected{payload: "still alive"})
			}
			if t.Failed() {
				t.Log(v.Reason)
			}
		})
	}
}

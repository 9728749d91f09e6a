// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// writer publishes a payload with the trace context and baggage of ctx. It returns the parent
// that the consumer spans must have: the span in ctx, or a producer span that is its child.
type writer struct {
	name    string
	publish func(ctx context.Context, payload string) (parent string, err error)
	large   bool // it publishes the largest payload, too: one writer of each language does
}

// startWriters starts all writers, each as it publishes with a span in its context.
func startWriters(t *testing.T, server *redistest.Server, commands map[*language][]string) []writer {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	var writers []writer
	for _, c := range goClients {
		writers = append(writers, goWriter(c.name, c.publisher(t, server.Addr())))
	}
	writers[0].large = true
	writers = append(writers, encodeWriter(server.Client()))
	large := make(map[*language]bool)
	for _, p := range peers {
		if command := p.command(commands, "write", host, port, channel); command != nil {
			w := peerWriter(p, startProcess(t, p.name, command))
			w.large, large[p.language] = !large[p.language], true
			writers = append(writers, w)
		}
	}
	return writers
}

// goWriter publishes through rdb, with a producer span.
func goWriter(name string, rdb tracedpubsub.Publisher) writer {
	return writer{name: name, publish: func(ctx context.Context, payload string) (string, error) {
		if err := tracedpubsub.Publish(ctx, rdb, channel, payload).Err(); err != nil {
			return "", err
		}
		return takeProducer()
	}}
}

// encodeWriter publishes envelopes itself, without a producer span.
func encodeWriter(rdb *redis.Client) writer {
	return writer{name: "Encode", publish: func(ctx context.Context, payload string) (string, error) {
		message, err := tracedpubsub.Encode(ctx, payload)
		if err != nil {
			return "", err
		}
		return idOf(trace.SpanContextFromContext(ctx)), rdb.Publish(ctx, channel, message).Err()
	}}
}

// takeProducer returns the producer span that has ended since the last call.
func takeProducer() (string, error) {
	ended := spans.GetSpans()
	spans.Reset()
	ended = slices.DeleteFunc(ended, func(s stub) bool { return s.SpanKind != trace.SpanKindProducer })
	if len(ended) != 1 {
		return "", fmt.Errorf("%d producer spans, want one", len(ended))
	}
	return idOf(ended[0].SpanContext), nil
}

func peerWriter(p peer, process *process) writer {
	return writer{name: p.name, publish: func(ctx context.Context, payload string) (string, error) {
		carrier := propagation.MapCarrier{}
		w3c.Inject(ctx, carrier)
		err := process.publish(order{[]byte(payload), p.text && utf8.ValidString(payload), carrier})
		return idOf(trace.SpanContextFromContext(ctx)), err
	}}
}

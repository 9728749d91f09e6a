// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Command hook traces a program that publishes with go-redis alone. One line instruments the
// client, and one loop reads the messages. The command starts its own Redis and needs
// nothing installed:
//
//	go run -C examples ./hook
//
// It prints the trace ID of each request on both sides, and fails if they differ.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	provider := sdktrace.NewTracerProvider() // an application adds its exporter here
	defer func() { _ = provider.Shutdown(ctx) }()
	otel.SetTracerProvider(provider)

	server, err := miniredis.Run()
	if err != nil {
		return err
	}
	defer server.Close()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer func() { _ = rdb.Close() }()

	// The one line: from here on, every publish on these channels is traced.
	if err := tracedpubsub.Instrument(rdb, func(channel string) bool { return strings.HasPrefix(channel, "orders.") }); err != nil {
		return err
	}

	sub := tracedpubsub.Subscribe(ctx, rdb, "orders.placed")
	defer func() { _ = sub.Close() }()
	if err := sub.Ready(ctx); err != nil {
		return err
	}
	placed := make(map[string]trace.TraceID) // by order
	for _, order := range []struct {
		id    string
		place func(ctx context.Context, rdb *redis.Client, id string) error
	}{{"1001", place}, {"1002", placeInTransaction}, {"1003", placeByHand}} {
		if placed[order.id], err = request(ctx, rdb, order.id, order.place); err != nil {
			return err
		}
	}

	// The one loop: ctx has the consumer span.
	for ctx, msg := range sub.Messages(ctx) {
		received := trace.SpanContextFromContext(ctx).TraceID()
		fmt.Printf("order %s: published in trace %s, processed in trace %s\n", msg.Payload, placed[msg.Payload], received)
		if received != placed[msg.Payload] {
			return errors.New("these are two traces")
		}
		delete(placed, msg.Payload)
		if len(placed) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%d orders were not received: %w", len(placed), ctx.Err())
}

// request publishes like a request handler, within a span of the application.
func request(ctx context.Context, rdb *redis.Client, id string, place func(context.Context, *redis.Client, string) error) (trace.TraceID, error) {
	ctx, span := otel.Tracer("shop").Start(ctx, "POST /orders")
	defer span.End()
	return span.SpanContext().TraceID(), place(ctx, rdb, id)
}

// The rest is code for go-redis without tracing.

func place(ctx context.Context, rdb *redis.Client, id string) error {
	return rdb.Publish(ctx, "orders.placed", id).Err()
}

func placeInTransaction(ctx context.Context, rdb *redis.Client, id string) error {
	_, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "order:"+id, "placed", 0)
		pipe.Publish(ctx, "orders.placed", id)
		return nil
	})
	return err
}

func placeByHand(ctx context.Context, rdb *redis.Client, id string) error {
	return rdb.Do(ctx, "PUBLISH", "orders.placed", id).Err()
}

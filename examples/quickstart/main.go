// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Command quickstart is the program of the README: it publishes a message, receives it, and
// prints the spans of both. It needs a Redis on localhost:6379, or the address of one in
// REDIS_ADDR.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(printer{}))
	defer func() { _ = provider.Shutdown(context.Background()) }() // exports the last spans
	otel.SetTracerProvider(provider)

	rdb := redis.NewClient(&redis.Options{Addr: os.Getenv("REDIS_ADDR")}) // default: localhost:6379
	defer rdb.Close()

	sub := tracedpubsub.Subscribe(ctx, rdb, "orders") // instead of rdb.Subscribe
	defer sub.Close()
	if err := sub.Ready(ctx); err != nil { // waits until the server has confirmed the subscription
		return err
	}

	reqCtx, span := otel.Tracer("shop").Start(ctx, "POST /orders")      // in your service: the span of a request
	err := tracedpubsub.Publish(reqCtx, rdb, "orders", "order 7").Err() // instead of rdb.Publish
	span.End()
	if err != nil {
		return err
	}

	for ctx, msg := range sub.Messages(ctx) { // instead of range sub.Channel()
		handle(ctx, msg.Payload)
		break // this program stops after one message
	}
	return nil
}

func handle(ctx context.Context, order string) { // ctx carries the consumer span
	_, span := otel.Tracer("shop").Start(ctx, "pack")
	defer span.End()
	fmt.Println("packing", order)
}

type printer struct{} // a service exports its spans, for example with otlptracehttp.New(ctx)

func (printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		fmt.Println(s.SpanContext().TraceID(), s.SpanKind(), s.Name())
	}
	return nil
}

func (printer) Shutdown(context.Context) error { return nil }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// The bodies of these examples are the code of docs/consumers.md; TestDocumentsHaveTestedCode compares them.

// A service with an HTTP server that publishes, and a consumer in the background.
func ExamplePubSub_Shutdown_server() {
	ctx, rdb, done := exampleRedis()
	defer done()
	server := &http.Server{}
	sub := subscribed(ctx, rdb, "orders")
	go func() { // ends with Shutdown
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { return nil })
	}()
	deadline, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()

	stopped := errors.Join(
		server.Shutdown(deadline), // no request publishes any more
		sub.Shutdown(deadline),    // what was published is handled
		rdb.Close(),
	)
	fmt.Println(stopped)

	// Output:
	// <nil>
}

// A program that waits for one message.
func ExamplePubSub_ReceiveMessage() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "orders")
	defer sub.Close()
	tracedpubsub.Publish(ctx, rdb, "orders", "order 7")

	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msg, err := sub.ReceiveMessage(ctx)
	if err != nil {
		fmt.Println("no order:", err)
		return
	}
	ctx, span := msg.Start(ctx)
	defer span.End()
	handle(ctx, msg.Payload)

	// Output:
	// handling order 7
}

// A test can give a handler a trace context: that of an envelope.
func ExampleNewMessage_test() {
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2},
	}))
	work := tracedpubsub.Handler(func(ctx context.Context, msg *tracedpubsub.Message) error {
		fmt.Println("packing", msg.Payload, "in trace", trace.SpanContextFromContext(ctx).TraceID())
		return nil
	})

	envelope, err := tracedpubsub.Encode(ctx, "order 7")
	if err != nil {
		fmt.Println(err)
	}
	msg := tracedpubsub.NewMessage("orders", "", string(envelope))
	err = work(msg.Extract(context.Background()), msg)

	fmt.Println(err)

	// Output:
	// packing order 7 in trace 01000000000000000000000000000000
	// <nil>
}

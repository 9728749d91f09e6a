// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
)

// The bodies of these examples are the code of docs/consumers.md; TestReadme compares them.

// A worker pool that stops on a signal, and handles what the server has sent by then.
func ExamplePubSub_Shutdown() {
	ctx, rdb, done := exampleRedis()
	defer done()
	ctx, interrupt := context.WithCancel(ctx) // signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	work := func(_ context.Context, msg *tracedpubsub.Message) error {
		fmt.Println("handling", msg.Payload)
		interrupt()
		return nil
	}

	sub := tracedpubsub.Subscribe(ctx, rdb, "orders")
	defer sub.Close()
	var pool sync.WaitGroup
	for range 4 {
		pool.Go(func() {
			_ = sub.Process(context.WithoutCancel(ctx), work) // nil after Shutdown
		})
	}

	_ = sub.Ready(ctx)
	tracedpubsub.Publish(ctx, rdb, "orders", "order 7")

	<-ctx.Done() // of signal.NotifyContext
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := sub.Shutdown(deadline); err != nil {
		fmt.Println(err) // it says how many messages were dropped that had been read
	}
	pool.Wait()

	// Output:
	// handling order 7
}

// A service with an HTTP server that publishes, and a consumer in the background.
func ExamplePubSub_Shutdown_server() {
	ctx, rdb, done := exampleRedis()
	defer done()
	server := &http.Server{}
	sub := subscribed(ctx, rdb, "orders")
	consumer := make(chan error, 1)
	go func() {
		consumer <- sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { return nil })
	}()
	deadline, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()

	stopped := errors.Join(
		server.Shutdown(deadline), // no request publishes any more
		sub.Shutdown(deadline),    // what was published is handled
		<-consumer,
		rdb.Close(),
	)
	fmt.Println(stopped)

	// Output:
	// <nil>
}

// The readiness check of an HTTP server that consumes in the background.
func ExamplePubSub_Ready() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "orders")
	defer sub.Close()

	ready := func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := sub.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}

	answer := httptest.NewRecorder()
	ready(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	fmt.Println(answer.Code)

	// Output:
	// 200
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

// The test of a handler needs no server.
func ExampleNewMessage_test() {
	work := tracedpubsub.Handler(func(_ context.Context, msg *tracedpubsub.Message) error {
		if msg.Payload == "" {
			return fmt.Errorf("an empty order on %s", msg.Channel)
		}
		return nil
	})

	err := work(context.Background(), tracedpubsub.NewMessage("orders", "", ""))
	fmt.Println(err)

	// Output:
	// an empty order on orders
}

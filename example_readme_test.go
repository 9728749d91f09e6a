// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// The code of README.md, from quickstart on; TestDocumentsHaveTestedCode compares them. What is
// above the first blank line of an example is not in it.

type Order struct {
	ID    int    `json:"id"`
	Title string `json:"title"`
}

func work(ctx context.Context, msg *tracedpubsub.Message) error {
	var order Order
	if err := msg.JSON(&order); err != nil {
		return err
	}
	return pack(ctx, order) // your code; ctx carries the consumer span
}

func TestWork(t *testing.T) {
	msg := tracedpubsub.NewMessage("orders", "", `{"id":7,"title":"tea"}`)
	if err := work(t.Context(), msg); err != nil {
		t.Error(err)
	}
}

func pack(_ context.Context, order Order) error {
	fmt.Println("packing", order.Title)
	return nil
}

// A pool of four workers that stops on a signal, and handles what the server has sent by then.
func ExamplePubSub_Shutdown() {
	_, rdb, done := exampleRedis()
	defer done()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	sub := tracedpubsub.Subscribe(ctx, rdb, "orders")
	defer sub.Close()
	for range 4 {
		go func() { _ = sub.Process(context.WithoutCancel(ctx), work) }() // ends with Shutdown
	}

	if err := sub.Ready(ctx); err != nil {
		fmt.Println(err)
	}
	order := Order{ID: 7, Title: "tea"}

	tracedpubsub.Publish(ctx, rdb, "orders", tracedpubsub.JSON(order))

	stop() // as a signal does

	<-ctx.Done() // a signal
	deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := sub.Shutdown(deadline); err != nil {
		log.Print(err) // says how many messages were dropped
	}

	// Output:
	// packing tea
}

// The readiness check of an HTTP server that consumes in the background.
func ExamplePubSub_Ready() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "orders")
	defer sub.Close()
	mux := http.NewServeMux()

	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := sub.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	fmt.Println(answer.Code)

	// Output:
	// 200
}

func ExamplePublish_transaction() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "orders")
	defer sub.Close()

	_, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "order:7", "placed", 0)
		tracedpubsub.Publish(ctx, pipe, "orders", "order 7")
		return nil
	})

	fmt.Println(err)
	msg, err := sub.ReceiveMessage(ctx)
	fmt.Println(msg.Payload, err)

	// Output:
	// <nil>
	// order 7 <nil>
}

func ExampleInstrument() {
	ctx, rdb, done := exampleRedis()
	defer done()

	err := tracedpubsub.Instrument(rdb, func(channel string) bool {
		return strings.HasPrefix(channel, "order") // all consumers of these can read envelopes
	})

	if err != nil {
		fmt.Println(err)
	}
	sub := tracedpubsub.Subscribe(ctx, rdb, "orders")
	defer sub.Close()
	if err := sub.Ready(ctx); err != nil {
		fmt.Println(err)
	}
	rdb.Publish(ctx, "orders", "order 7") // anywhere in the program, also in the code of a library
	for ctx, msg := range sub.Messages(ctx) {
		handle(ctx, msg.Payload)
		break
	}

	// Output:
	// handling order 7
}

func ExampleWithAccounting() {
	ctx, rdb, done := exampleRedis()
	defer done()
	cache := map[string]string{"tea": "3.20"}
	sub := subscribed(ctx, rdb, "prices")
	defer sub.Close()

	publisher := tracedpubsub.Wrap(rdb, tracedpubsub.WithAccounting())
	publisher.Publish(ctx, "prices", "tea 3.30")

	publisher.PublishTo(ctx, rdb.Pipeline(), "prices", "tea 3.40") // is never sent
	publisher.Publish(ctx, "prices", "tea 3.50")

	for range 2 {
		msg, err := sub.ReceiveMessage(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}

		if msg.Skipped > 0 { // messages right before this one are missing
			clear(cache)
		}

		fmt.Println(msg.Payload, msg.Skipped, len(cache))
	}

	// Output:
	// tea 3.30 0 1
	// tea 3.50 1 0
}

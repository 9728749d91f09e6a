// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"encoding/json"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// The bodies of these examples are code of docs/migrating.md; TestDocumentsHaveTestedCode compares them.

func ExamplePubSub_Messages() {
	ctx, rdb, done := exampleRedis()
	defer done()
	ctx, stop := context.WithCancel(ctx)
	handle := func(_ context.Context, payload string) {
		fmt.Println("handling", payload)
		stop()
	}
	go func() {
		for ctx.Err() == nil && rdb.Publish(ctx, "orders", "order 7").Val() == 0 { // nobody has subscribed yet
		}
	}()

	sub := tracedpubsub.Subscribe(ctx, rdb, "orders") // was: rdb.Subscribe(ctx, "orders")
	defer sub.Close()
	for ctx, msg := range sub.Messages(ctx) { // was: for msg := range sub.Channel()
		handle(ctx, msg.Payload)
	}

	// Output:
	// handling order 7
}

// A consumer that reads the envelopes of publishers that are not migrated yet.
func ExampleWithForeignEnvelope_migrating() {
	ctx, rdb, done := exampleRedis()
	defer done()

	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithForeignEnvelope(func(message string) (e tracedpubsub.Envelope, ok bool) {
		var old struct{ Trace, Data string }
		if json.Unmarshal([]byte(message), &old) != nil || old.Trace == "" {
			return e, false // it is not one of these
		}
		e.Payload = old.Data
		e.Carrier.Set("traceparent", old.Trace)
		return e, true
	}))

	sub := client.Subscribe(ctx, "orders")
	defer sub.Close()
	if err := sub.Ready(ctx); err != nil {
		fmt.Println(err)
	}
	rdb.Publish(ctx, "orders", `{"trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":"order 7"}`)
	client.Publish(ctx, "orders", "order 8")
	for range 2 {
		msg, err := sub.ReceiveMessage(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(msg.Payload, trace.SpanContextFromContext(msg.Extract(ctx)).TraceID())
	}

	// Output:
	// order 7 0af7651916cd43dd8448eb211c80319c
	// order 8 00000000000000000000000000000000
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

func Example() {
	ctx, rdb, done := exampleRedis()
	defer done()

	sub := tracedpubsub.Subscribe(ctx, rdb, "reports") // instead of rdb.Subscribe(ctx, "reports")
	defer sub.Close()
	if err := sub.Ready(ctx); err != nil {
		fmt.Println(err)
	}

	tracedpubsub.Publish(ctx, rdb, "reports", "hello") // instead of rdb.Publish(ctx, "reports", "hello")

	for ctx, msg := range sub.Messages(ctx) { // instead of for msg := range sub.Channel()
		handle(ctx, msg.Payload) // ctx carries the consumer span, a child of the producer's
		break
	}

	// Output:
	// handling hello
}

func ExampleWrap() {
	ctx, rdb, done := exampleRedis()
	defer done()

	client := tracedpubsub.Wrap(rdb,
		tracedpubsub.WithTracerProvider(provider),
		tracedpubsub.WithDestinationTemplate(func(channel string) string {
			if strings.HasPrefix(channel, "user.") {
				return "user.{id}"
			}
			return "" // no template
		}),
	)

	sub := client.Subscribe(ctx, "user.17")
	defer sub.Close()
	fmt.Println("subscribed:", sub.Ready(ctx) == nil)
	fmt.Println("clients that got it:", client.Publish(ctx, "user.17", "hello").Val())

	// Output:
	// subscribed: true
	// clients that got it: 1
}

func ExamplePubSub_Process() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "reports")
	tracedpubsub.Publish(ctx, rdb, "reports", "hello")
	ctx, stop := context.WithCancel(ctx)

	err := sub.Process(ctx, func(ctx context.Context, msg *tracedpubsub.Message) error {
		defer stop()
		fmt.Println(msg.Payload)
		return errors.New("no paper") // is recorded on the span; the loop goes on
	})
	fmt.Println("ended:", err)
	fmt.Println("closed:", sub.Close())

	// Output:
	// hello
	// ended: context canceled
	// closed: <nil>
}

func ExamplePubSub_Channel() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "reports")
	defer sub.Close()
	tracedpubsub.Publish(ctx, rdb, "reports", "hello")

	select {
	case msg, ok := <-sub.Channel():
		if !ok {
			return // the subscription was closed
		}
		ctx, span := msg.Start(ctx)
		handle(ctx, msg.Payload)
		span.End()
	case <-ctx.Done():
	}

	// Output:
	// handling hello
}

// The name is set before the first channel, so that it works with RESP2, too.
func ExamplePubSub_ClientSetName() {
	ctx, rdb, done := exampleRedis()
	defer done()

	sub := tracedpubsub.Subscribe(ctx, rdb)
	defer sub.Close()
	if err := sub.ClientSetName(ctx, "report-worker"); err != nil { // CLIENT LIST shows it
		fmt.Println(err)
	}
	if err := sub.Subscribe(ctx, "reports"); err != nil {
		fmt.Println(err)
	}
	fmt.Println("subscribed:", sub.Ready(ctx) == nil)

	// Output:
	// subscribed: true
}

func ExampleFromRedis() {
	ctx, rdb, done := exampleRedis()
	defer done()
	raw := rdb.Subscribe(ctx, "reports")
	defer raw.Close()
	_, _ = raw.Receive(ctx) // the confirmation of the server
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(provider))
	client.Publish(ctx, "reports", "hello")

	received := <-raw.Channel() // a loop of your own, or of another library

	msg := client.FromRedis(received) // a *redis.Message
	ctx, span := msg.Start(ctx)
	handle(ctx, msg.Payload)
	span.End()

	// Output:
	// handling hello
}

func ExampleClient_PublishTo() {
	ctx, rdb, done := exampleRedis()
	defer done()
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(provider))

	_, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "report:7", "done", 0)
		client.PublishTo(ctx, pipe, "reports", "7")
		return nil
	})
	fmt.Println(err)

	// Output:
	// <nil>
}

// A Lua script gets the envelope as an argument, and publishes it.
func ExampleEncode() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "orders")
	defer sub.Close()

	script := redis.NewScript(`return redis.call("PUBLISH", KEYS[1], ARGV[1])`)
	ctx, span := otel.Tracer("shop").Start(ctx, "publish orders", trace.WithSpanKind(trace.SpanKindProducer))
	envelope, err := tracedpubsub.Encode(ctx, "order 7")
	if err == nil {
		err = script.Run(ctx, rdb, []string{"orders"}, envelope).Err()
	}
	span.End()

	fmt.Println("published:", err)
	msg, err := sub.ReceiveMessage(ctx)
	fmt.Println(msg.Payload, err)

	// Output:
	// published: <nil>
	// order 7 <nil>
}

func ExampleDecode() {
	const message = `{"tracedpubsub":1,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","payload":"hello"}`

	envelope, err := tracedpubsub.Decode(message)
	fmt.Println(envelope.Payload, err)
	ctx := envelope.Extract(context.Background())
	fmt.Println(trace.SpanContextFromContext(ctx).TraceID())

	// Output:
	// hello <nil>
	// 0af7651916cd43dd8448eb211c80319c
}

var provider = sdktrace.NewTracerProvider()

func handle(_ context.Context, payload string) { fmt.Println("handling", payload) }

// subscribed is a subscription that the server has confirmed.
func subscribed(ctx context.Context, rdb *redis.Client, channel string) *tracedpubsub.PubSub {
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(provider))
	sub := client.Subscribe(ctx, channel)
	if err := sub.Ready(ctx); err != nil {
		panic(err)
	}
	return sub
}

// exampleRedis starts a server for an example.
func exampleRedis() (ctx context.Context, rdb *redis.Client, done func()) {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	rdb = redis.NewClient(&redis.Options{Addr: server.Addr()})
	return context.Background(), rdb, func() {
		_ = rdb.Close()
		server.Close()
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"fmt"
	"log"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/redis/rueidis"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/interop"
)

// With a producer span, through an adapter.
func Example_rueidis() {
	ctx := context.Background()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"localhost:6379"}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	tracedpubsub.Publish(ctx, interop.RueidisPublisher{Client: client}, "reports", "hello")

	err = interop.ReceiveRueidis(ctx, client, "reports", func(ctx context.Context, msg *tracedpubsub.Message) error {
		fmt.Println(msg.Payload) // ctx has the consumer span
		return nil
	})
	log.Print(err)
}

// The envelope alone: the consumer spans are children of the span in ctx.
func Example_rueidisEnvelope() {
	ctx := context.Background()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"localhost:6379"}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	message, err := tracedpubsub.Encode(ctx, "hello")
	if err != nil {
		log.Fatal(err)
	}
	publish := client.B().Publish().Channel("reports").Message(string(message)).Build()
	if err := client.Do(ctx, publish).Error(); err != nil {
		log.Print(err)
	}
}

func Example_redigo() {
	ctx := context.Background()
	pool := &redigo.Pool{DialContext: func(ctx context.Context) (redigo.Conn, error) {
		return redigo.DialContext(ctx, "tcp", "localhost:6379")
	}}
	defer func() { _ = pool.Close() }()

	tracedpubsub.Publish(ctx, interop.RedigoPublisher{Pool: pool}, "reports", "hello")

	conn := pool.Get()
	defer func() { _ = conn.Close() }()
	err := interop.ReceiveRedigo(ctx, conn, "reports", func(ctx context.Context, msg *tracedpubsub.Message) error {
		fmt.Println(msg.Payload) // ctx has the consumer span
		return nil
	})
	log.Print(err)
}

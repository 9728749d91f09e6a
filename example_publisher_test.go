// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"encoding"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// redigoConn is the method that connections of redigo have, as an example of a client that
// is not go-redis.
type redigoConn interface {
	Do(commandName string, args ...any) (reply any, err error)
}

// redigoPublisher publishes through such a connection.
type redigoPublisher struct{ conn redigoConn }

// Publish implements tracedpubsub.Publisher.
func (p redigoPublisher) Publish(ctx context.Context, channel string, message any) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx, "publish", channel, message)
	text, err := messageText(message)
	if err != nil {
		cmd.SetErr(err)
		return cmd
	}
	reply, err := p.conn.Do("PUBLISH", channel, text)
	if err != nil {
		cmd.SetErr(err)
		return cmd
	}
	receivers, _ := reply.(int64)
	cmd.SetVal(receivers)
	return cmd
}

// messageText returns the bytes to publish. The envelope is a BinaryMarshaler. If a channel
// has none, message is the payload: here it may be a string, bytes, or a BinaryMarshaler.
func messageText(message any) (string, error) {
	switch message := message.(type) {
	case string:
		return message, nil
	case []byte:
		return string(message), nil
	case encoding.BinaryMarshaler: // its error means that the payload could not be marshaled
		text, err := message.MarshalBinary()
		return string(text), err
	default:
		return "", fmt.Errorf("cannot publish a %T", message)
	}
}

// An adapter makes another client a Publisher.
func ExamplePublisher() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "reports")
	defer sub.Close()

	publisher := redigoPublisher{exampleConn{rdb}}
	receivers, err := tracedpubsub.Publish(ctx, publisher, "reports", "hello").Result()
	fmt.Println(receivers, err)

	for ctx, msg := range sub.Messages(ctx) {
		handle(ctx, msg.Payload)
		break
	}

	// Output:
	// 1 <nil>
	// handling hello
}

// exampleConn stands for a connection of redigo.
type exampleConn struct{ rdb *redis.Client }

func (c exampleConn) Do(commandName string, args ...any) (any, error) {
	return c.rdb.Do(context.Background(), append([]any{commandName}, args...)...).Result()
}

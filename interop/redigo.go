// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// RedigoPublisher publishes through connections of a pool of redigo. It is a
// tracedpubsub.Publisher.
type RedigoPublisher struct{ Pool *redigo.Pool }

var _ tracedpubsub.Publisher = RedigoPublisher{}

// Publish sends PUBLISH, and returns its reply or error in a command of go-redis.
func (p RedigoPublisher) Publish(ctx context.Context, channel string, message any) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx, "publish", channel, message)
	receivers, err := p.publish(ctx, channel, message)
	cmd.SetVal(receivers)
	cmd.SetErr(err)
	return cmd
}

func (p RedigoPublisher) publish(ctx context.Context, channel string, message any) (receivers int64, err error) {
	text, err := wireText(message)
	if err != nil {
		return 0, err
	}
	conn, err := p.Pool.GetContext(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	return redigo.Int64(redigo.DoContext(conn, ctx, "PUBLISH", channel, text))
}

// ReceiveRedigo subscribes conn to channel, and calls handle for each message, within a
// consumer span. It returns when ctx is canceled or the connection is lost. The caller closes
// conn.
func ReceiveRedigo(ctx context.Context, conn redigo.Conn, channel string, handle tracedpubsub.Handler) error {
	pubsub := redigo.PubSubConn{Conn: conn}
	if err := pubsub.Subscribe(channel); err != nil {
		return err
	}
	for {
		switch m := pubsub.ReceiveContext(ctx).(type) {
		case redigo.Message:
			process(ctx, newMessage(m.Channel, m.Pattern, string(m.Data)), handle)
		case error:
			return m
		}
	}
}

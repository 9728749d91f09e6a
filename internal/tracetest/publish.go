// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// Publisher publishes to channels and to sharded channels.
type Publisher interface {
	tracedpubsub.Publisher
	tracedpubsub.ShardPublisher
}

// PublisherCase is a type of publisher. With makes one of rdb, calls use with it and,
// if its commands are deferred, executes them.
type PublisherCase struct {
	Name, Reason string
	With         func(ctx context.Context, rdb *redis.Client, use func(Publisher)) error
	Deferred     bool
	Client       bool // it is the client itself: the library knows its server and its receivers
}

// Publishers has every publisher of go-redis.
var Publishers = []PublisherCase{{
	Name:   "Client",
	Reason: "the usual case",
	With: func(_ context.Context, rdb *redis.Client, use func(Publisher)) error {
		use(rdb)
		return nil
	},
	Client: true,
}, {
	Name:   "Conn",
	Reason: "one connection of the pool",
	With: func(_ context.Context, rdb *redis.Client, use func(Publisher)) error {
		conn := rdb.Conn()
		use(conn)
		return conn.Close()
	},
}, {
	Name:   "Tx",
	Reason: "within Watch, commands are sent at once",
	With: func(ctx context.Context, rdb *redis.Client, use func(Publisher)) error {
		return rdb.Watch(ctx, func(tx *redis.Tx) error { use(tx); return nil }, "key")
	},
}, {
	Name:   "Pipeline",
	Reason: "commands are sent by Exec",
	With: func(ctx context.Context, rdb *redis.Client, use func(Publisher)) error {
		pipe := rdb.Pipeline()
		use(pipe)
		_, err := pipe.Exec(ctx)
		return err
	},
	Deferred: true,
}, {
	Name:   "Pipelined",
	Reason: "commands are sent when the function returns",
	With: func(ctx context.Context, rdb *redis.Client, use func(Publisher)) error {
		_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
		return err
	},
	Deferred: true,
}, {
	Name:   "TxPipeline",
	Reason: "the replies are within that of EXEC",
	With: func(ctx context.Context, rdb *redis.Client, use func(Publisher)) error {
		pipe := rdb.TxPipeline()
		use(pipe)
		_, err := pipe.Exec(ctx)
		return err
	},
	Deferred: true,
}, {
	Name:   "TxPipelined in Watch",
	Reason: "the usual transaction",
	With: func(ctx context.Context, rdb *redis.Client, use func(Publisher)) error {
		return rdb.Watch(ctx, func(tx *redis.Tx) error {
			_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
			return err
		}, "key")
	},
	Deferred: true,
}, {
	Name:   "Pipeline of a Conn",
	Reason: "a pipeline, no matter of what",
	With: func(ctx context.Context, rdb *redis.Client, use func(Publisher)) error {
		conn := rdb.Conn()
		_, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
		if err != nil {
			return err
		}
		return conn.Close()
	},
	Deferred: true,
}, {
	Name:   "AutoPipeline",
	Reason: "the blocking type waits for its batch, so there is a reply",
	With: func(_ context.Context, rdb *redis.Client, use func(Publisher)) error {
		ap, err := rdb.AutoPipeline()
		if err != nil {
			return err
		}
		use(ap)
		return ap.Close()
	},
}, {
	Name:   "AsyncAutoPipeline",
	Reason: "the asynchronous type only queues",
	With: func(_ context.Context, rdb *redis.Client, use func(Publisher)) error {
		ap, err := rdb.AsyncAutoPipeline()
		if err != nil {
			return err
		}
		use(ap)
		return ap.Close() // which sends what is queued
	},
	Deferred: true,
}}

// WayToPublish is a function of the library that publishes.
type WayToPublish struct {
	Name      string
	Publish   func(c *tracedpubsub.Client, ctx context.Context, p Publisher, channel string, payload any) *redis.IntCmd
	Subscribe func(c *redis.Client, ctx context.Context, channels ...string) *redis.PubSub
	Operation string
	OfClient  bool // it knows the client of p
	Sharded   bool
}

// WaysToPublish has every function of the library that publishes with a Publisher.
var WaysToPublish = []WayToPublish{{
	Name: "PublishTo",
	Publish: func(c *tracedpubsub.Client, ctx context.Context, p Publisher, channel string, payload any) *redis.IntCmd {
		return c.PublishTo(ctx, p, channel, payload)
	},
	Subscribe: (*redis.Client).Subscribe,
	Operation: "publish",
	OfClient:  true,
}, {
	Name: "SPublishTo",
	Publish: func(c *tracedpubsub.Client, ctx context.Context, p Publisher, channel string, payload any) *redis.IntCmd {
		return c.SPublishTo(ctx, p, channel, payload)
	},
	Subscribe: (*redis.Client).SSubscribe,
	Operation: "spublish",
	OfClient:  true,
	Sharded:   true,
}, {
	Name: "Publish",
	Publish: func(_ *tracedpubsub.Client, ctx context.Context, p Publisher, channel string, payload any) *redis.IntCmd {
		return tracedpubsub.Publish(ctx, p, channel, payload)
	},
	Subscribe: (*redis.Client).Subscribe,
	Operation: "publish",
}, {
	Name: "SPublish",
	Publish: func(_ *tracedpubsub.Client, ctx context.Context, p Publisher, channel string, payload any) *redis.IntCmd {
		return tracedpubsub.SPublish(ctx, p, channel, payload)
	},
	Subscribe: (*redis.Client).SSubscribe,
	Operation: "spublish",
	Sharded:   true,
}}

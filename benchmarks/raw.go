// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Raw is go-redis alone. The others are compared with it.
const (
	Raw     = "go-redis"
	RawLoop = "go-redis ReceiveMessage"
)

func connectRaw(e *Env, _ Setting) (*publishing, error) { return publishThrough(e.client()), nil }

func (e *Env) client() *redis.Client { return redis.NewClient(&redis.Options{Addr: e.addr}) }

// publishThrough publishes like a program without tracing.
func publishThrough(rdb *redis.Client) *publishing {
	return &publishing{
		publish: func(ctx context.Context, channel string, payload any) error {
			return rdb.Publish(ctx, channel, payload).Err()
		},
		batch: func(ctx context.Context, channels []string, payload any) error {
			pipe := rdb.Pipeline()
			for _, channel := range channels {
				pipe.Publish(ctx, channel, payload)
			}
			_, err := pipe.Exec(ctx)
			return err
		},
		close: rdb.Close,
	}
}

func bareMessage(_ *Env, s Setting) (string, error) { return s.Payload(), nil }

// subscribeRaw subscribes to channels, or to patterns.
func subscribeRaw(rdb *redis.Client, s Setting, name string) *redis.PubSub {
	if s.Channels > 1 {
		return rdb.PSubscribe(context.Background(), name)
	}
	return rdb.Subscribe(context.Background(), name)
}

func receiveRaw(e *Env, s Setting, name string) (*subscription, error) {
	rdb := e.client()
	sub := subscribeRaw(rdb, s, name)
	return &subscription{
		drain: func(n int, handle func(string)) {
			channel := sub.Channel()
			for range n {
				m, ok := <-channel
				if !ok {
					return
				}
				handle(m.Payload)
			}
		},
		close: closing(sub, rdb),
	}, nil
}

func receiveRawLoop(e *Env, s Setting, name string) (*subscription, error) {
	rdb := e.client()
	sub := subscribeRaw(rdb, s, name)
	return &subscription{
		drain: func(n int, handle func(string)) {
			for range n {
				m, err := sub.ReceiveMessage(context.Background())
				if err != nil {
					return
				}
				handle(m.Payload)
			}
		},
		close: closing(sub, rdb),
	}, nil
}

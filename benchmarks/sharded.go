// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// shardedChannels is the number of sharded channels that are used in turn. Their slots are
// spread over the shards.
const shardedChannels = 24

var sharded = Setting{Kind: Text, Size: Small, Sampling: Sampled, Channels: shardedChannels}

// ShardedPublish publishes on sharded channels of a cluster from eight goroutines:
// through go-redis, or through the library.
func ShardedPublish(e *Env, addrs []string, library bool) (*Bench, error) {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	p := &publishing{
		publish: func(ctx context.Context, channel string, payload any) error {
			return rdb.SPublish(ctx, channel, payload).Err()
		},
		close: rdb.Close,
	}
	if library {
		client := tracedpubsub.Wrap(rdb, e.options(sharded)...)
		p.publish = func(ctx context.Context, channel string, payload any) error {
			return client.SPublish(ctx, channel, payload).Err()
		}
	}
	connect := func(*Env, Setting) (*publishing, error) { return p, nil }
	return publisher{"", connect}.bench(e, sharded, eight)
}

// ShardedReceive receives messages that wait on sharded channels of a cluster. With the
// library it uses one subscription, and with go-redis one for each channel, since a
// subscription of go-redis can have channels of only one slot.
func ShardedReceive(e *Env, addrs []string, library bool) (*Bench, error) {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	names := newNamer("sharded:", shardedChannels)
	message, subscribe := sharded.Payload(), subscribeShardsRaw
	if library {
		var err error
		if message, err = libraryMessage(e, sharded); err != nil {
			return nil, errors.Join(err, rdb.Close())
		}
		subscribe = func(rdb *redis.ClusterClient, names []string) *subscription { return subscribeShards(e, rdb, names) }
	}
	var sub *subscription
	return &Bench{
		Prepare: func(n int) error {
			ctx := context.Background()
			sub = subscribe(rdb, names.few)
			if err := waitForShards(ctx, rdb, names.few); err != nil {
				return err
			}
			pipe := rdb.Pipeline()
			for _, name := range names.take(n) {
				pipe.SPublish(ctx, name, message)
			}
			_, err := pipe.Exec(ctx)
			return err
		},
		Do: func(n int) error {
			watchdog := time.AfterFunc(patience, func() { _ = sub.close() })
			defer watchdog.Stop()
			var mu sync.Mutex
			messages := 0
			sub.drain(n, func(string) {
				mu.Lock()
				defer mu.Unlock()
				messages++
			})
			if messages != n {
				return fmt.Errorf("received %d messages, want %d", messages, n)
			}
			return nil
		},
		Finish: func() error { return sub.close() },
		Close:  rdb.Close,
	}, nil
}

func subscribeShards(e *Env, rdb *redis.ClusterClient, names []string) *subscription {
	sub := tracedpubsub.Wrap(rdb, e.options(sharded)...).SSubscribe(context.Background(), names...)
	return &subscription{
		drain: func(n int, handle func(string)) { drainMessages(sub, n, handle) },
		close: sub.Close,
	}
}

// subscribeShardsRaw expects as many messages on each channel.
func subscribeShardsRaw(rdb *redis.ClusterClient, names []string) *subscription {
	var all []*redis.PubSub
	for _, name := range names {
		all = append(all, rdb.SSubscribe(context.Background(), name))
	}
	return &subscription{
		drain: func(n int, handle func(string)) {
			var wait sync.WaitGroup
			for _, sub := range all {
				wait.Go(func() {
					channel := sub.Channel()
					for range n / len(all) {
						if m, ok := <-channel; ok {
							handle(m.Payload)
						}
					}
				})
			}
			wait.Wait()
		},
		close: func() (failed error) {
			for _, sub := range all {
				failed = errors.Join(failed, sub.Close())
			}
			return failed
		},
	}
}

// waitForShards waits until each channel has its subscriber.
func waitForShards(ctx context.Context, rdb *redis.ClusterClient, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var mu sync.Mutex
		subscribed := int64(0)
		err := rdb.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			counts, err := node.PubSubShardNumSub(ctx, names...).Result()
			mu.Lock()
			defer mu.Unlock()
			for _, n := range counts {
				subscribed += n
			}
			return err
		})
		if err == nil && subscribed == int64(len(names)) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d sharded channels have a subscriber: %w", subscribed, len(names), errors.Join(ctx.Err(), err))
		}
		time.Sleep(time.Millisecond)
	}
}

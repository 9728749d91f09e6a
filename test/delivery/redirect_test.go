// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// shardPublish publishes on a sharded channel in one of several ways.
type shardPublish func(ctx context.Context, p tracedpubsub.ShardPublisher, channel string) *redis.IntCmd

// What go-redis sends to another node, because the slot has moved, has the same number. It uses
// up no second one.
func TestARedirectHasTheSameNumber(t *testing.T) {
	cluster := redistest.StartCluster(t)
	publishers := map[string]func(t *testing.T, rdb *redis.ClusterClient) shardPublish{
		"Client": func(_ *testing.T, rdb *redis.ClusterClient) shardPublish {
			client := tracedpubsub.Wrap(rdb, silent, tracedpubsub.WithAccounting())
			return func(ctx context.Context, p tracedpubsub.ShardPublisher, channel string) *redis.IntCmd {
				return client.SPublishTo(ctx, p, channel, "hello")
			}
		},
		"hook": func(t *testing.T, rdb *redis.ClusterClient) shardPublish {
			tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), tracedpubsub.WithAccounting())
			return func(ctx context.Context, p tracedpubsub.ShardPublisher, channel string) *redis.IntCmd {
				return p.SPublish(ctx, channel, "hello")
			}
		},
	}
	ways := map[string]func(t *testing.T, ctx context.Context, rdb *redis.ClusterClient, publish func(tracedpubsub.ShardPublisher) *redis.IntCmd) *redis.IntCmd{
		"alone": func(_ *testing.T, _ context.Context, rdb *redis.ClusterClient, publish func(tracedpubsub.ShardPublisher) *redis.IntCmd) *redis.IntCmd {
			return publish(rdb)
		},
		"in a pipeline": func(_ *testing.T, ctx context.Context, rdb *redis.ClusterClient, publish func(tracedpubsub.ShardPublisher) *redis.IntCmd) *redis.IntCmd {
			pipe := rdb.Pipeline()
			cmd := publish(pipe)
			_, _ = pipe.Exec(ctx) // the command has the error, too
			return cmd
		},
		"in an auto-pipeline": func(t *testing.T, _ context.Context, rdb *redis.ClusterClient, publish func(tracedpubsub.ShardPublisher) *redis.IntCmd) *redis.IntCmd {
			ap, err := rdb.AutoPipeline()
			if err != nil {
				t.Fatal(err)
			}
			return publish(ap)
		},
	}
	for by, publisher := range publishers {
		for way, send := range ways {
			t.Run(by+" "+way, func(t *testing.T) {
				ctx, began, rdb, channel := tracetest.Context(t), time.Now(), cluster.Client(), by+way
				publish := publisher(t, rdb)
				publishTwice := func() {
					for range 2 {
						tracetest.AssertSent(t, send(t, ctx, rdb, func(p tracedpubsub.ShardPublisher) *redis.IntCmd { return publish(ctx, p, channel) }))
					}
				}
				publishTwice()
				owner, masters := cluster.OwnerOf(channel), cluster.Masters()
				cluster.MigrateSlotOf(channel, masters[(slices.Index(masters, owner)+1)%len(masters)])
				sub := tracetest.ReadyRaw(t, cluster.Client().SSubscribe(ctx, channel))
				publishTwice()
				assertNumbered(t, nextRaw(t, sub, 2), 3, began)
			})
		}
	}
}

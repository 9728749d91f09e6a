// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// The channels of the application.
const (
	reportsChannel = "reports"
	pubChannel     = "best-channel-ever"
)

// patience is how long a server may take for one answer.
const patience = 3 * time.Second

// bus is a connection to Redis whose messages are traced.
type bus struct {
	*tracedpubsub.Client
	cluster bool
}

// connect connects to a server, or with several addresses to a cluster, and
// fails if it does not answer. The caller closes the bus.
func connect(ctx context.Context, addrs []string, tp trace.TracerProvider, report func(error)) (*bus, error) {
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 addrs,
		DialTimeout:           patience,
		ReadTimeout:           patience,
		ContextTimeoutEnabled: true,
	})
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := rdb.Ping(ctx).Err(); err != nil {
		rdb.Close()
		return nil, err
	}
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(tp), tracedpubsub.WithErrorHandler(report))
	return &bus{client, len(addrs) > 1}, nil
}

// Publish publishes on a channel. On a cluster it uses sharded channels, because the messages
// of others are sent to every node.
func (b *bus) Publish(ctx context.Context, channel string, payload any) *redis.IntCmd {
	if b.cluster {
		return b.SPublish(ctx, channel, payload)
	}
	return b.Client.Publish(ctx, channel, payload)
}

// Subscribe subscribes to a channel of Publish, and waits until the server has confirmed it.
// Messages that are published earlier would be missed.
func (b *bus) Subscribe(ctx context.Context, channel string) (*tracedpubsub.PubSub, error) {
	subscribe := b.Client.Subscribe
	if b.cluster {
		subscribe = b.SSubscribe
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sub := subscribe(ctx, channel)
	if err := sub.Ready(ctx); err != nil {
		sub.Close()
		return nil, err
	}
	return sub, nil
}

func (b *bus) Close() error { return b.Unwrap().Close() }

// embeddedRedis starts a Redis in this process, and returns its address and a function that
// stops it.
func embeddedRedis() (addr string, stop func(), err error) {
	server, err := miniredis.Run()
	if err != nil {
		return "", nil, fmt.Errorf("start a Redis in this process: %w", err)
	}
	// In miniredis, keys expire only by FastForward.
	clock, done := time.NewTicker(time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-clock.C:
				server.FastForward(time.Second)
			case <-done:
				return
			}
		}
	}()
	return server.Addr(), func() {
		clock.Stop()
		close(done)
		server.Close()
	}, nil
}

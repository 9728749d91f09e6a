// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/tracedpubsub/tracedpubsub"
)

const (
	numberOfKeys = 500 // so many that none changes twice in a run
	changeEvery  = 50 * time.Millisecond
	sampleEvery  = 100 * time.Millisecond
	patience     = 30 * time.Second // for what should come within seconds
)

// The two caches.
const (
	without = iota // the rule
	with
)

// demo is one run of the program.
type demo struct {
	stdout io.Writer
	began  time.Time

	store  *redis.Client // the connection of the program that changes keys
	writer *tracedpubsub.Client
	keys   []string

	network network
	rdb     *redis.Client // the connection of the caches
	caches  [2]*Cache

	published, skipped atomic.Int64
	reader             *sdkmetric.ManualReader // of the subscription without the rule
	meters             *sdkmetric.MeterProvider

	stop    context.CancelFunc // of the goroutines
	running sync.WaitGroup
}

func newDemo(addr string, stdout io.Writer) *demo {
	d := &demo{stdout: stdout, began: time.Now(), store: redis.NewClient(&redis.Options{Addr: addr})}
	d.writer = tracedpubsub.Wrap(d.store, tracedpubsub.WithAccounting())
	d.rdb = redis.NewClient(&redis.Options{Addr: addr, Dialer: d.network.dial})
	for i := range d.caches {
		d.caches[i] = NewCache(func(ctx context.Context, key string) (string, error) { return d.rdb.Get(ctx, key).Result() })
	}
	for i := range numberOfKeys {
		d.keys = append(d.keys, "key:"+strconv.Itoa(i))
	}
	d.reader = sdkmetric.NewManualReader() // an application has one that exports
	d.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(d.reader))
	return d
}

func (d *demo) close() {
	if d.stop != nil {
		d.stop()
	}
	d.running.Wait()
	d.rdb.Close()
	d.store.Close()
	_ = d.meters.Shutdown(context.Background())
}

// start fills the store, and returns when both caches are subscribed.
func (d *demo) start(ctx context.Context) error {
	for _, key := range d.keys {
		if err := d.store.Set(ctx, key, "0", 0).Err(); err != nil {
			return err
		}
	}
	following, stop := context.WithCancel(ctx)
	d.stop = stop
	subscribed, failed := make(chan struct{}, 2), make(chan error, 2)
	d.running.Go(func() {
		failed <- d.caches[with].Follow(following, d.rdb, func() { subscribed <- struct{}{} })
	})
	d.running.Go(func() {
		failed <- d.followWithoutRule(following, func() { subscribed <- struct{}{} })
	})
	for range d.caches {
		select {
		case <-subscribed:
		case err := <-failed:
			return err
		}
	}
	return nil
}

// followWithoutRule is how such caches are often written: what the message and the error
// handler say about missing ones is ignored. Here it is counted.
func (d *demo) followWithoutRule(ctx context.Context, subscribed func()) error {
	client := tracedpubsub.Wrap(d.rdb, tracedpubsub.WithMeterProvider(d.meters), tracedpubsub.WithErrorHandler(func(error) {}))
	sub := client.Subscribe(ctx, channel)
	defer sub.Close()
	if err := sub.Ready(ctx); err != nil {
		return err
	}
	subscribed()
	for _, msg := range sub.Messages(ctx) {
		d.skipped.Add(msg.Skipped)
		d.caches[without].Invalidate(msg.Payload)
	}
	return ctx.Err()
}

// change changes one key after the other until done is closed.
func (d *demo) change(ctx context.Context, done <-chan struct{}) error {
	clock := time.NewTicker(changeEvery)
	defer clock.Stop()
	for n := 1; ; n++ {
		select {
		case <-clock.C:
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := Write(ctx, d.writer, d.keys[n%numberOfKeys], strconv.Itoa(n)); err != nil {
			return err
		}
		d.published.Add(1)
	}
}

// say prints an event, with the time at which it was seen.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.stdout, "%5.1f s  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// channel is where the keys that have changed are published.
const channel = "invalidations"

// Write changes the value of a key in the store, and notifies all caches. Both are one
// transaction, so no other client sees one without the other. client must have the option
// [tracedpubsub.WithAccounting]: then caches know if they have missed something.
func Write(ctx context.Context, client *tracedpubsub.Client, key, value string) error {
	_, err := client.Unwrap().TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, key, value, 0)
		client.PublishTo(ctx, pipe, channel, key)
		return nil
	})
	return err
}

// Cache keeps values of a store in memory. It is safe for concurrent use.
type Cache struct {
	load func(ctx context.Context, key string) (string, error)

	mu      sync.Mutex
	entries map[string]*entry
}

// entry is a value, or a place that is kept for one while the store is read.
type entry struct {
	value  string
	loaded bool
}

// NewCache returns a cache of the values that load reads from the store.
func NewCache(load func(ctx context.Context, key string) (string, error)) *Cache {
	return &Cache{load: load, entries: make(map[string]*entry)}
}

// Get returns the value of key. It reads the store if the value is not in the cache.
func (c *Cache) Get(ctx context.Context, key string) (string, error) {
	c.mu.Lock()
	e := c.entries[key]
	if e != nil && e.loaded {
		defer c.mu.Unlock()
		return e.value, nil
	}
	// The entry is there before the store is read. If the key is invalidated in the meantime,
	// the value may be the old one; then the entry is gone, and the value is not stored.
	if e == nil {
		e = new(entry)
		c.entries[key] = e
	}
	c.mu.Unlock()

	value, err := c.load(ctx, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.entries[key] != e: // invalidated in the meantime
	case err != nil:
		delete(c.entries, key)
	default:
		e.value, e.loaded = value, true
	}
	return value, err
}

// Invalidate drops the value of key.
func (c *Cache) Invalidate(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
}

// Clear drops all values.
func (c *Cache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

// Follow drops what others change in the store, until ctx is canceled, and everything when
// invalidations may have been missed. It calls subscribed when the cache may be used: what
// was read earlier might never be invalidated. After Follow has returned, the cache must not
// be used.
func (c *Cache) Follow(ctx context.Context, rdb redis.UniversalClient, subscribed func(), opts ...tracedpubsub.Option) error {
	client := tracedpubsub.Wrap(rdb, append(slices.Clip(opts), tracedpubsub.WithErrorHandler(c.report))...)
	sub := client.Subscribe(ctx, channel)
	defer sub.Close()
	if err := sub.Ready(ctx); err != nil {
		return err
	}
	subscribed()
	return sub.Process(ctx, c.handle)
}

// handle handles an invalidation. If others are missing before it, any value may be old.
func (c *Cache) handle(_ context.Context, msg *tracedpubsub.Message) error {
	if msg.Skipped > 0 {
		c.Clear()
	}
	c.Invalidate(msg.Payload)
	return nil
}

// report handles a report of the subscription. After an outage any value may be old. The next
// message would show it too, but may come much later.
func (c *Cache) report(err error) {
	var outage *tracedpubsub.SubscriptionError
	if errors.As(err, &outage) && outage.Recovered {
		c.Clear()
	}
	slog.Warn("invalidations of the cache", "err", err)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// sample is the state at a moment of a run.
type sample struct {
	at                                 time.Duration
	published, received, skipped, lost int64
	stale                              [2]int
}

// run changes keys, cuts the network, mends it, and goes on until the loss is counted.
func (d *demo) run(ctx context.Context, o *options) (*outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, o.before+o.outage+patience)
	defer cancel()
	done, changed := make(chan struct{}), make(chan error, 1)
	d.running.Go(func() { changed <- d.change(ctx, done) })

	got := new(outcome)
	err := d.watch(ctx, o, got)
	close(done)
	if err = errors.Join(err, <-changed); err != nil {
		return nil, err
	}
	// The last message comes after all others. When its key is up to date, all were handled.
	for last := d.published.Load() % numberOfKeys; ; {
		now, err := d.sample(ctx, d.keys[last:last+1])
		if err != nil {
			return nil, err
		}
		if now.stale == [2]int{} {
			break
		}
	}
	end, err := d.sample(ctx, d.keys)
	if err != nil {
		return nil, err
	}
	got.published, got.received, got.skipped, got.lost, got.stale = end.published, end.received, end.skipped, end.lost, end.stale
	return got, nil
}

// watch takes a sample from time to time. It cuts the network and mends it when it is time,
// and returns when the loss has been counted for a second.
func (d *demo) watch(ctx context.Context, o *options, got *outcome) error {
	d.say("two caches have %d entries; %d keys a second change", numberOfKeys, time.Second/changeEvery)
	clock := time.NewTicker(sampleEvery)
	defer clock.Stop()
	d.began = time.Now()
	var skipped, lost time.Duration // when they were seen
	for {
		now, err := d.sample(ctx, d.keys)
		if err != nil {
			return err
		}
		got.samples = append(got.samples, now)
		switch {
		case got.cut == 0:
			if now.at >= o.before && now.received > 0 {
				d.say("the connection of the caches is cut")
				got.cut = now.at
				d.network.cut()
			}
		case got.mended == 0:
			if now.at >= got.cut+o.outage {
				d.say("it can be made again; %d entries of both caches are stale", now.stale[without])
				got.mended = now.at
				d.network.mend()
			}
		case skipped == 0:
			if now.skipped > 0 {
				d.say("the first message says that %d are missing before it: a cache with the rule drops everything", now.skipped)
				skipped = now.at
			}
		case lost == 0:
			if now.lost > 0 {
				d.say("%d are counted as lost; %d entries are stale without the rule, %d with it", now.lost, now.stale[without], now.stale[with])
				lost = now.at
			}
		case now.at > lost+time.Second:
			return nil
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sample counts, and reads keys through both caches.
func (d *demo) sample(ctx context.Context, keys []string) (s sample, err error) {
	values, err := d.store.MGet(ctx, keys...).Result()
	if err != nil {
		return s, err
	}
	for i, cache := range d.caches {
		for j, key := range keys {
			cached, err := cache.Get(ctx, key)
			if err == nil && version(cached) < version(values[j]) { // an error: it is not in the cache
				s.stale[i]++
			}
		}
	}
	var all metricdata.ResourceMetrics
	if err := d.reader.Collect(ctx, &all); err != nil {
		return s, err
	}
	s.at = time.Since(d.began)
	s.published, s.skipped = d.published.Load(), d.skipped.Load()
	s.received, s.lost = total(&all, "messaging.client.consumed.messages"), total(&all, "tracedpubsub.delivery.lost")
	return s, ctx.Err()
}

// version returns the number that a value is.
func version(value any) int {
	text, _ := value.(string)
	n, _ := strconv.Atoi(text)
	return n
}

// total returns the sum of a counter.
func total(all *metricdata.ResourceMetrics, name string) (sum int64) {
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if counter, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				for _, point := range counter.DataPoints {
					sum += point.Value
				}
			}
		}
	}
	return sum
}

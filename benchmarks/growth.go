// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
)

// Interval is a part of a long run.
type Interval struct {
	Messages    int     `json:"messages"`    // from the start of the run to the end of the interval
	Nanoseconds float64 `json:"nanoseconds"` // CPU time of this process for one message, published and received
	Heap        uint64  `json:"heap"`        // bytes in use at its end, after a garbage collection
}

// Grow publishes and receives messages with the library, with spans and metrics, in one
// process that does nothing else. For each interval it measures the cost of a message and
// the memory in use. Each message goes to the next of the channels.
func Grow(ctx context.Context, e *Env, messages, channels, intervals int) (all []Interval, err error) {
	s := Setting{Kind: Text, Size: Small, Sampling: Sampled, Metrics: true, Channels: channels}
	rdb := e.client()
	defer rdb.Close()
	client := tracedpubsub.Wrap(rdb, e.options(s)...)
	sub := client.PSubscribe(ctx, "grow:*")
	defer sub.Close()
	if err := sub.Ready(ctx); err != nil {
		return nil, err
	}
	// The number of messages that wait for their consumer is small, and always the same.
	const step = 1000
	arrived, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- consume(ctx, sub, s.Size, step, arrived) }()
	defer func() { err = errors.Join(err, sub.Close(), <-ended) }()

	var payload any = s.Payload()
	publishing := e.context(s)
	next := 0
	for i := range intervals {
		until := messages * (i + 1) / intervals / step * step
		first := next
		start, err := cpuTime()
		if err != nil {
			return nil, err
		}
		for next < until {
			if err := growBy(publishing, client, payload, next, step, channels); err != nil {
				return nil, err
			}
			select {
			case <-arrived:
			case <-time.After(patience):
				return nil, errors.New("messages got lost")
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			next += step
		}
		end, err := cpuTime()
		if err != nil {
			return nil, err
		}
		if next > first {
			all = append(all, Interval{next, float64((end - start).Nanoseconds()) / float64(next-first), heap(e)})
		}
	}
	return all, nil
}

func growBy(ctx context.Context, client *tracedpubsub.Client, payload any, from, n, channels int) error {
	for begin := from; begin < from+n; begin += BatchSize {
		pipe := client.Unwrap().Pipeline()
		for i := begin; i < begin+BatchSize; i++ {
			client.PublishTo(ctx, pipe, "grow:"+strconv.Itoa(i%channels), payload)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// consume sends a signal each time that step messages have arrived.
func consume(ctx context.Context, sub *tracedpubsub.PubSub, size, step int, arrived chan<- struct{}) error {
	messages := 0
	for _, m := range sub.Messages(ctx) {
		if len(m.Payload) != size {
			return fmt.Errorf("received %d bytes, want %d", len(m.Payload), size)
		}
		if messages++; messages%step != 0 {
			continue
		}
		select {
		case arrived <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// heap returns the memory in use, after all spans are exported.
func heap(e *Env) uint64 {
	_ = e.Flush() // the exporter cannot fail
	for range 2 { // the second collection empties the pools
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

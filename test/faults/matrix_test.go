// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"flag"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var fullMatrix = flag.Bool("full", false, "run every row of the fault matrix, not a covering selection")

// subscribing is a kind of subscription.
type subscribing struct {
	name, reason string
	sharded      bool
	subscribe    func(ctx context.Context, c *tracedpubsub.Client, channels []string) *tracedpubsub.PubSub
	// reported returns the topic that reports about a channel name.
	reported func(channel string) string
}

// channelPrefix begins the name of every channel of the matrix.
const channelPrefix = "matrix."

var subscribings = []subscribing{
	{
		name: "Subscribe", reason: "on a cluster it is on one node, which may be any",
		subscribe: func(ctx context.Context, c *tracedpubsub.Client, channels []string) *tracedpubsub.PubSub {
			return c.Subscribe(ctx, channels...)
		},
		reported: func(channel string) string { return channel },
	}, {
		name: "PSubscribe", reason: "a pattern is owned by no shard",
		subscribe: func(ctx context.Context, c *tracedpubsub.Client, _ []string) *tracedpubsub.PubSub {
			return c.PSubscribe(ctx, channelPrefix+"*")
		},
		reported: func(string) string { return channelPrefix + "*" },
	}, {
		name: "SSubscribe", reason: "the owner of a channel may change at any time",
		sharded: true,
		subscribe: func(ctx context.Context, c *tracedpubsub.Client, channels []string) *tracedpubsub.PubSub {
			return c.SSubscribe(ctx, channels...)
		},
		reported: func(channel string) string { return channel },
	},
}

// scenesAtOnce returns how many faults run at once. They spend most of their time waiting, but
// with -full they have three times as many rows.
func scenesAtOnce() int {
	if *fullMatrix {
		return 3
	}
	return 8
}

// TestMatrix runs each fault on subscriptions of each kind, consumed in each way. Of
// each fault it runs every kind and every way at least once, and with -full all
// combinations of them. Without -full, most faults are among the tests that take long.
//
// The rows of one fault share a scene: its servers, a publisher that never stops, and a
// reference that the fault does not touch. Each row has a client of its own.
func TestMatrix(t *testing.T) {
	var scenes sync.WaitGroup
	begin := func(i int, idle func()) {
		f := allFaults[i]
		scenes.Go(func() {
			idle := sync.OnceFunc(idle)
			defer idle()
			t.Run(f.name, func(t *testing.T) { runFault(t, f, rowsOf(i), idle) })
		})
	}
	for i, f := range allFaults {
		if f.alone {
			done := make(chan struct{})
			begin(i, func() { close(done) })
			<-done
		}
	}
	free := make(chan struct{}, scenesAtOnce())
	for i, f := range allFaults {
		if !f.alone {
			free <- struct{}{}
			begin(i, func() { <-free })
		}
	}
	scenes.Wait()
}

// rowsOf returns the rows of the fault with number i: with -full all of them, and
// otherwise each way to consume with one kind of subscription. As there are more ways
// than kinds, every kind is among them.
func rowsOf(i int) []*row {
	var rows []*row
	for w, way := range tracetest.Consumers {
		for k, kind := range subscribings {
			if *fullMatrix || (w+i)%len(subscribings) == k {
				rows = append(rows, &row{kind: kind, way: way, turn: i + len(rows)})
			}
		}
	}
	return rows
}

func TestMatrixSelectionCovers(t *testing.T) {
	for i, f := range allFaults {
		var got []string
		for _, r := range rowsOf(i) {
			got = append(got, r.kind.name, r.way.Name)
		}
		for _, kind := range subscribings {
			if !slices.Contains(got, kind.name) {
				t.Errorf("%s: no row with %s", f.name, kind.name)
			}
		}
		for _, way := range tracetest.Consumers {
			if !slices.Contains(got, way.Name) {
				t.Errorf("%s: no row with %s", f.name, way.Name)
			}
		}
	}
}

const (
	// flowing is how many messages each channel has to receive before the fault, and
	// again after it.
	flowing = 50
	// steady is how long messages flow before the fault: longer than the downtime of a
	// report may reach too far back.
	steady = signOfLife + time.Second/2
	// sharedMachine is added to each limit, for machines that are busy with other work.
	sharedMachine = time.Second
)

// runFault runs a fault on all its rows at once, and then checks each of them. It calls idle
// when it has nothing to do for seconds but to wait: for the losses to be counted.
func runFault(t *testing.T, f fault, rows []*row, idle func()) {
	selectFault(t, f)
	s := newScene(t, f, rows)
	t.Logf("clients: %v", s.constructors(t))
	if *fullMatrix {
		tracetest.LetTimePass(s.reach) // otherwise a downtime could not be too long
	}
	tracetest.LetTimePass(steady)
	for _, r := range rows {
		r.awaitFlow(t, s)
	}
	s.began = time.Now()
	f.inflict(t, s)
	if s.healed.IsZero() {
		s.healed = time.Now()
	}
	for _, r := range rows {
		r.awaitReturn(t, s)
	}
	for _, r := range rows {
		r.awaitFlow(t, s)
	}
	s.stopPublishing()
	for _, r := range rows {
		r.awaitLast(t, s)
	}
	idle()
	for _, r := range rows {
		r.deliveries.await(t)
	}
	for _, r := range rows {
		r.close(t)
	}
	s.assertNoConnections(t)
	for _, r := range rows {
		t.Run(r.name(), func(t *testing.T) { r.check(t, s) })
	}
}

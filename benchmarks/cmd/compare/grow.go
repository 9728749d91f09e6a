// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// grown is the report of -grow.
type grown struct {
	Machine       machine      `json:"machine"`
	Command       string       `json:"command"`
	Channels      int          `json:"channels"`
	Intervals     []b.Interval `json:"intervals"`
	Subscriptions []subscribed `json:"subscriptions"`
	Targets       []check      `json:"targets"`
}

// subscribed is the cost of a message with a number of channels in the subscription.
type subscribed struct {
	Names int       `json:"names"`
	Time  quartiles `json:"time"` // relative to that with one channel
}

func growing(ctx context.Context, o *options, stdout io.Writer) error {
	return withServer(ctx, func(at *place) error {
		intervals, err := b.Grow(ctx, at.env, o.messages, o.channels, 20)
		if err != nil {
			return err
		}
		names, err := growNames(ctx, at, o)
		if err != nil {
			return err
		}
		made := &grown{aboutMachine(at.pinned), o.command, o.channels, intervals, names, append(growth(intervals), growthWithNames(names)...)}
		text := growthTable(made)
		fmt.Fprint(stdout, text)
		return errors.Join(writeJSON(o.path("grow.json"), made), writePage(o.path("grow.md"), "How cost grows", text))
	})
}

// growNames receives through subscriptions with more and more channels, in turn.
func growNames(ctx context.Context, at *place, o *options) ([]subscribed, error) {
	counts := []int{1, 100, 10_000}
	messages := min(20_000, max(o.messages/100, b.BatchSize))
	benches := make(map[int]*b.Bench)
	for _, names := range counts {
		bench, err := b.Subscribed(at.env, names)
		if err != nil {
			return nil, err
		}
		benches[names] = bench
	}
	times := make(map[int][]float64)
	for round := range o.rounds + 1 {
		order := rand.Perm(len(counts))
		for _, i := range order {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r := &run{bench: benches[counts[i]], n: messages}
			took, err := r.time(at)
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				times[counts[i]] = append(times[counts[i]], took)
			}
		}
	}
	var all []subscribed
	for _, names := range counts {
		ratios := make([]float64, o.rounds)
		for i := range ratios {
			ratios[i] = times[names][i] / times[counts[0]][i]
		}
		all = append(all, subscribed{names, quartilesOf(ratios)})
	}
	return all, nil
}

// growthTable has one line for each interval: time relative to the second one, as
// the first warms up.
func growthTable(g *grown) string {
	t := newTable("messages so far", "CPU time for one, to that of the second line", "heap in use, KiB")
	first := g.Intervals[min(1, len(g.Intervals)-1)].Nanoseconds
	for _, i := range g.Intervals {
		t.row(strconv.Itoa(i.Messages), ratio(i.Nanoseconds/first), strconv.FormatUint(i.Heap>>10, 10))
	}
	names := newTable("channels in the subscription", "time to receive one, to that with one channel")
	for _, s := range g.Subscriptions {
		names.row(strconv.Itoa(s.Names), got(s.Time))
	}
	return fmt.Sprintf("%s\n%s\n%s\n%s", about(g.Machine, g.Command, fmt.Sprintf("channels: %d", g.Channels)), t, names, targetTable(g.Targets))
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// runner measures comparisons in rounds.
type runner struct {
	at     *place
	runs   []*run
	rounds int
}

// place is the environment in which everything is measured.
type place struct {
	env    *b.Env
	clock  clock
	pinned string // the result of pin
}

// run is one variant of a comparison.
type run struct {
	of      *comparison
	variant string
	bench   *b.Bench
	n       int           // messages in each round
	target  time.Duration // how long they are to take

	times  []float64 // of one message in each round, in nanoseconds
	allocs float64   // for one message
}

// newRunner prepares everything that is measured. The caller must close it.
func newRunner(at *place, comparisons []*comparison, rounds int, total time.Duration) (*runner, error) {
	r := &runner{at: at, rounds: rounds}
	weights := 0.0
	for _, c := range comparisons {
		cost := c.weight
		if c.Scenario == b.Receive {
			cost *= 2 // the backlog has to be published, too
		}
		weights += cost * float64(len(c.Variants))
	}
	unit := time.Duration(float64(total) / weights / float64(rounds))
	for _, c := range comparisons {
		for _, name := range c.Variants {
			bench, err := setUp(at.env, c, name)
			if err != nil {
				r.close()
				return nil, err
			}
			r.runs = append(r.runs, &run{of: c, variant: name, bench: bench, target: time.Duration(float64(unit) * c.weight)})
		}
	}
	return r, nil
}

func setUp(env *b.Env, c *comparison, name string) (*b.Bench, error) {
	v := c.Scenario.Variant(name)
	if v == nil {
		return nil, fmt.Errorf("%s has no variant %q", c.Scenario.Name, name)
	}
	bench, err := v.Setup(env, c.Setting)
	if err != nil {
		return nil, fmt.Errorf("%s, %v, %s: %w", c.Scenario.Name, c.Setting, name, err)
	}
	return bench, nil
}

func (r *runner) close() {
	for _, run := range r.runs {
		_ = run.bench.Close() // an error does not change what was measured
	}
}

// measure counts the allocations of all runs, computes how many messages fit into their
// time, and then runs them, round by round.
func (r *runner) measure(ctx context.Context) error {
	err := r.each(ctx, func(run *run) error {
		if err := run.calibrate(r.at); err != nil {
			return err
		}
		return run.countAllocs(r.at.env, min(r.rounds, 3))
	})
	if err != nil {
		return err
	}
	for range r.rounds {
		err := r.each(ctx, func(run *run) error {
			took, err := run.time(r.at)
			run.times = append(run.times, took)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls f for every run, with the comparisons in random order, and the variants of each
// in random order. Variants that are compared therefore run one right after the other.
func (r *runner) each(ctx context.Context, f func(*run) error) error {
	groups := make(map[*comparison][]*run)
	var order []*comparison
	for _, run := range r.runs {
		if groups[run.of] == nil {
			order = append(order, run.of)
		}
		groups[run.of] = append(groups[run.of], run)
	}
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, c := range order {
		runs := groups[c]
		rand.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
		for _, run := range runs {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(run); err != nil {
				return fmt.Errorf("%s, %v, %s: %w", c.Scenario.Name, c.Setting, run.variant, err)
			}
		}
	}
	return nil
}

// calibrate sets n. It begins with few messages, which also warm up caches and connections.
func (r *run) calibrate(at *place) error {
	most := max(64<<20/r.of.Setting.Size, b.BatchSize) // the server holds a backlog of them
	if r.computes() {
		most = math.MaxInt
	}
	r.n = r.least()
	for range 6 {
		took, err := r.fastest(at)
		if err != nil {
			return err
		}
		fitting := int(float64(r.target) / took)
		before := r.n
		r.n = min(max(fitting, r.least()), most, 100*before)
		if r.n <= 2*before {
			return nil
		}
	}
	return nil
}

// fastest returns the shortest of a few times. If a single one were taken that something has
// disturbed, all rounds would have too few messages.
func (r *run) fastest(at *place) (float64, error) {
	shortest := math.Inf(1)
	for range 3 {
		took, err := r.time(at)
		if err != nil {
			return 0, err
		}
		shortest = min(shortest, took)
	}
	return shortest, nil
}

// least returns the smallest number of messages of a run: a whole pipeline, or a few.
func (r *run) least() int {
	if r.computes() {
		return 3
	}
	return b.BatchSize
}

// computes reports whether a run does not use Redis.
func (r *run) computes() bool { return r.of.Scenario == b.Encode || r.of.Scenario == b.Decode }

// time runs r.n messages and returns how many nanoseconds one took.
func (r *run) time(at *place) (float64, error) {
	if err := at.env.Flush(); err != nil {
		return 0, err
	}
	var took time.Duration
	err := r.bench.Run(r.n, func(do func() error) error {
		runtime.GC() // no run pays for the garbage of another
		start, err := at.clock.now()
		if err != nil {
			return err
		}
		err = errors.Join(do(), at.env.Flush()) // exporting its spans is part of a run
		end, late := at.clock.now()
		took = end - start
		return errors.Join(err, late)
	})
	return float64(took.Nanoseconds()) / float64(r.n), err
}

// countAllocs counts the allocations of one message, without those that happen once in many
// messages, such as those of the SDK for a batch. It returns the lowest of several counts,
// because a pool may have been emptied during one.
func (r *run) countAllocs(env *b.Env, counts int) error {
	n := 2 * b.BatchSize
	if r.computes() {
		n = 20
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would empty the pools
	for i := range counts {
		if err := env.Flush(); err != nil {
			return err
		}
		var before, after runtime.MemStats
		err := r.bench.Run(n, func(do func() error) error {
			runtime.ReadMemStats(&before)
			defer runtime.ReadMemStats(&after)
			return do()
		})
		if err != nil {
			return err
		}
		allocs := float64(after.Mallocs-before.Mallocs) / float64(n)
		if i == 0 || allocs < r.allocs {
			r.allocs = allocs
		}
		runtime.GC()
	}
	return nil
}

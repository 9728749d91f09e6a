// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// results are the measured runs by their key.
type results map[runKey]*run

type runKey struct {
	scenario *b.Scenario
	setting  b.Setting
	variant  string
}

func (r *runner) results() results {
	all := make(results)
	for _, run := range r.runs {
		all[runKey{run.of.Scenario, run.of.Setting, run.variant}] = run
	}
	return all
}

func (r results) of(scenario *b.Scenario, s b.Setting, variant string) (*run, error) {
	run := r[runKey{scenario, s, variant}]
	if run == nil {
		return nil, fmt.Errorf("not measured: %s, %v, %s", scenario.Name, s, variant)
	}
	return run, nil
}

// speed returns how many times as fast a run was as another one, in each round.
func speed(of, than *run) []float64 {
	ratios := make([]float64, len(of.times))
	for i := range ratios {
		ratios[i] = than.times[i] / of.times[i]
	}
	return ratios
}

// wholeAllocs returns the whole number of allocations, like testing.AllocsPerRun. An
// allocation once in many messages does not count.
func (r *run) wholeAllocs() float64 { return math.Floor(r.allocs) }

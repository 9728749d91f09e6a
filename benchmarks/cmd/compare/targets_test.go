// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

func TestQuartiles(t *testing.T) {
	for _, tt := range []struct {
		reason string
		values []float64
		want   quartiles
	}{
		{"one value is all three", []float64{3}, quartiles{3, 3, 3}},
		{"five have one at each quarter, in whatever order", []float64{5, 1, 4, 2, 3}, quartiles{2, 3, 4}},
		{"of four, each lies between two", []float64{1, 2, 3, 4}, quartiles{1.75, 2.5, 3.25}},
		{"one that is far off moves none", []float64{1, 2, 3, 4, 1000}, quartiles{2, 3, 4}},
	} {
		if got := quartilesOf(tt.values); got != tt.want {
			t.Errorf("%s: %v of %v, want %v", tt.reason, got, tt.values, tt.want)
		}
	}
}

func TestSpeedIsTakenWithinARound(t *testing.T) {
	// The second round is slow for both.
	fast, slow := &run{times: []float64{10, 1000}}, &run{times: []float64{40, 4000}}
	if got, want := quartilesOf(speed(fast, slow)), exactly(4); got != want {
		t.Errorf("speed is %v, want %v", got, want)
	}
}

func TestVerdict(t *testing.T) {
	q := quartiles{0.7, 0.8, 0.9}
	for _, tt := range []struct {
		reason  string
		atLeast bool
		limit   float64
		want    bool
	}{
		{"the median reaches it", true, 0.8, true},
		{"only the upper quartile does", true, 0.81, false},
		{"the median stays below", false, 0.8, true},
		{"only the lower quartile does", false, 0.79, false},
	} {
		c := check{AtLeast: tt.atLeast, Limit: tt.limit, Got: q}
		if got := c.judge().Met; got != tt.want {
			t.Errorf("%s: met is %v, want %v", tt.reason, got, tt.want)
		}
	}
}

// A cost that grows is found, and one that only warms up is not.
func TestGrowthIsFound(t *testing.T) {
	interval := func(i int, time float64, heap uint64) b.Interval {
		return b.Interval{Messages: (i + 1) * 1000, Nanoseconds: time, Heap: heap}
	}
	var flat, slower, larger []b.Interval
	for i := range 11 {
		warming := 100.0
		if i == 0 {
			warming = 500
		}
		flat = append(flat, interval(i, warming, 1<<20))
		slower = append(slower, interval(i, 100+10*float64(i), 1<<20))
		larger = append(larger, interval(i, 100, 1<<20+uint64(i)<<16))
	}
	for _, tt := range []struct {
		name         string
		intervals    []b.Interval
		time, memory bool
	}{
		{"flat", flat, true, true}, {"slower and slower", slower, false, true}, {"larger and larger", larger, true, false},
	} {
		checks := growth(tt.intervals)
		if checks[0].Met != tt.time || checks[1].Met != tt.memory {
			t.Errorf("%s: time is met: %v, memory: %v; want %v, %v", tt.name, checks[0].Met, checks[1].Met, tt.time, tt.memory)
		}
	}
}

// So is one that grows with the names in a subscription.
func TestGrowthWithNamesIsFound(t *testing.T) {
	checks := growthWithNames([]subscribed{{1, exactly(1)}, {100, exactly(1.05)}, {10_000, exactly(1.5)}})
	if len(checks) != 2 || !checks[0].Met || checks[1].Met {
		t.Errorf("%+v, want the first to be met, and the second not", checks)
	}
}

// A target that nothing was measured for is an error: it would be missing in silence.
func TestTargetsNeedTheirMeasurements(t *testing.T) {
	if _, err := targets(results{}, []b.Interval{{Messages: 1}, {Messages: 2}, {Messages: 3}}); err == nil {
		t.Error("no error")
	}
}

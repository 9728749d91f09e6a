// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// check is one requirement of a target.
type check struct {
	Target  string    `json:"target"` // P1 to P11
	What    string    `json:"what"`
	AtLeast bool      `json:"at_least"` // else at most
	Limit   float64   `json:"limit"`
	Unit    string    `json:"unit"` // what was counted, or compared
	Got     quartiles `json:"got"`
	Met     bool      `json:"met"`
	Means   string    `json:"means"` // what the target is about
}

// judge sets whether a check is met: whether its median reaches the limit.
func (c check) judge() check {
	c.Means = meanings[c.Target]
	if c.AtLeast {
		c.Met = c.Got.Median >= c.Limit
	} else {
		c.Met = c.Got.Median <= c.Limit
	}
	return c
}

// checker collects checks, and the first error.
type checker struct {
	results results
	checks  []check
	err     error
}

// faster checks that a variant is a number of times as fast as another one.
func (c *checker) faster(target string, scenario *b.Scenario, s b.Setting, variant, than string, limit float64) {
	c.compare(check{Target: target, What: describe(scenario, s) + variantNote(variant), AtLeast: true, Limit: limit, Unit: "times the speed of " + than},
		runKey{scenario, s, variant}, runKey{scenario, s, than})
}

// compare checks the speed of a run against another one.
func (c *checker) compare(k check, of, than runKey) {
	c.add(k, of, than, func(of, than *run) quartiles { return quartilesOf(speed(of, than)) })
}

// allocs checks that a run has at most a number of allocations more than another one, or in
// total if than has no variant.
func (c *checker) allocs(target, what string, of, than runKey, limit float64) {
	k := check{Target: target, What: what, Limit: limit, Unit: "allocations"}
	if than.variant == "" {
		c.add(k, of, of, func(of, _ *run) quartiles { return exactly(of.wholeAllocs()) })
		return
	}
	k.Unit += " over " + than.variant
	if than.variant == of.variant {
		k.Unit = "allocations more"
	}
	c.add(k, of, than, func(of, than *run) quartiles { return exactly(of.wholeAllocs() - than.wholeAllocs()) })
}

func (c *checker) add(k check, of, than runKey, got func(of, than *run) quartiles) {
	a, err := c.results.of(of.scenario, of.setting, of.variant)
	if err == nil {
		var other *run
		if other, err = c.results.of(than.scenario, than.setting, than.variant); err == nil {
			k.Got = got(a, other)
			c.checks = append(c.checks, k.judge())
			return
		}
	}
	if c.err == nil {
		c.err = err
	}
}

func exactly(f float64) quartiles { return quartiles{f, f, f} }

// describe describes a setting, with the parts that differ from the usual one.
func describe(scenario *b.Scenario, s b.Setting) string {
	parts := []string{scenario.Name, string(s.Kind), b.SizeName(s.Size)}
	if scenario != b.Encode && scenario != b.Decode {
		parts = append(parts, string(s.Sampling))
	}
	if s.Channels > 1 {
		parts = append(parts, fmt.Sprintf("%d channels", s.Channels))
	}
	if s.Metrics {
		parts = append(parts, "metrics")
	}
	return strings.Join(parts, ", ")
}

func variantNote(variant string) string {
	if _, note, found := strings.Cut(variant, ", "); found {
		return ", " + note
	}
	return ""
}

// targets checks all but P10 with the results, and P10 with a run of its own.
func targets(r results, grown []b.Interval) ([]check, error) {
	c := &checker{results: r}
	c.publishing()
	c.receiving()
	c.codecs()
	c.metrics()
	c.accounting()
	c.checks = append(c.checks, growth(grown)...)
	return c.checks, c.err
}

func (c *checker) publishing() {
	for _, size := range []int{b.Small, b.Medium} {
		c.faster("P1", b.Publish, setting(b.Text, size, b.Sampled), b.Library, b.Raw, 0.80)
		c.faster("P1", b.Publish, setting(b.Text, size, b.Unsampled), b.Library, b.Raw, 0.90)
		c.faster("P1", b.Publish, setting(b.Text, size, b.NoOp), b.Library, b.Raw, 0.95)
	}
	for _, size := range []int{b.Small, b.Medium} {
		c.faster("P2", b.Publish, setting(b.Text, size, b.Sampled), b.Library, b.Redisotel, 1.10)
	}
	limits := map[b.Sampling]float64{b.Sampled: 7, b.Unsampled: 5, b.NoOp: 3}
	for _, kind := range b.Kinds {
		for _, sampling := range b.Samplings {
			s := setting(kind, b.Medium, sampling)
			c.allocs("P3", describe(b.Publish, s), runKey{b.Publish, s, b.Library}, runKey{b.Publish, s, b.Raw}, limits[sampling])
		}
	}
	sampled, unsampled := setting(b.Text, b.Small, b.Sampled), setting(b.Text, b.Small, b.Unsampled)
	c.faster("P4", b.Pipeline, sampled, b.Library, b.Raw, 0.26)
	c.faster("P4", b.Pipeline, unsampled, b.Library, b.Raw, 0.50)
	c.faster("P4", b.Pipeline, sampled, b.LibraryBatch, b.Raw, 0.70)
}

func (c *checker) receiving() {
	c.faster("P5", b.Receive, setting(b.Text, b.Small, b.Sampled), b.Library, b.Floor, 0.75)
	c.faster("P5", b.Receive, setting(b.Text, b.Small, b.Unsampled), b.Library, b.Floor, 0.70)
	limits := map[b.Sampling]float64{b.Sampled: 9, b.Unsampled: 7}
	for _, sampling := range []b.Sampling{b.Sampled, b.Unsampled} {
		for _, s := range []b.Setting{setting(b.Text, b.Small, sampling), setting(b.JSON, b.Medium, sampling), setting(b.Binary, b.Medium, sampling)} {
			most := limits[sampling]
			if s.Kind == b.Binary {
				most++ // the base64 has to be decoded into something
			}
			c.allocs("P6", describe(b.Receive, s), runKey{b.Receive, s, b.Library}, runKey{b.Receive, s, b.Raw}, most)
		}
	}
}

// sameTime is the ratio of two times up to which they count as the same.
const sameTime = 1.10

func (c *checker) codecs() {
	medium, large := setting(b.JSON, b.Medium, b.Sampled), setting(b.JSON, b.Large, b.Sampled)
	c.compare(check{Target: "P7", What: "decode, JSON, 64 KiB", Limit: sameTime, Unit: "times the time of 1 KiB"},
		runKey{b.Decode, medium, b.Library}, runKey{b.Decode, large, b.Library})
	for _, s := range []b.Setting{medium, large, setting(b.Text, b.Medium, b.Sampled), setting(b.Text, b.Large, b.Sampled)} {
		c.allocs("P7", describe(b.Decode, s), runKey{b.Decode, s, b.Library}, runKey{}, 0)
	}
	c.faster("P7", b.Decode, setting(b.Text, b.Large, b.Sampled), b.Library, b.EncodingJSON, 50)
	for _, kind := range b.Kinds {
		for _, size := range b.Sizes {
			s := setting(kind, size, b.Sampled)
			library, peer := runKey{b.Encode, s, b.Library}, runKey{b.Encode, s, b.EncodingJSON}
			if kind == b.JSON && size >= b.Medium { // most of the time is taken by validating the document
				c.faster("P8", b.Encode, s, b.Library, b.Gjson, 1)
			} else {
				c.compare(check{Target: "P8", What: describe(b.Encode, s), Limit: 0.35, Unit: "times the time of " + b.EncodingJSON}, peer, library)
			}
			c.allocs("P8", describe(b.Encode, s), library, runKey{}, 1)
		}
	}
}

func (c *checker) metrics() {
	off := setting(b.Text, b.Small, b.Sampled)
	on := withMetrics(off)
	for _, scenario := range []*b.Scenario{b.Publish, b.Receive} {
		without := runKey{scenario, off, b.Library}
		c.allocs("P9", describe(scenario, on), runKey{scenario, on, b.Library}, without, 0)
		c.allocs("P9", describe(scenario, on)+", dropped by a view", runKey{scenario, on, b.LibraryDropped}, without, 0)
	}
}

// accounting checks what WithAccounting adds: to publishing, and to receiving such messages.
func (c *checker) accounting() {
	for _, scenario := range []*b.Scenario{b.Publish, b.Pipeline, b.Receive} {
		allocs := 0.0
		if scenario != b.Receive {
			allocs = 1
		}
		for _, sampling := range []b.Sampling{b.Sampled, b.Unsampled} {
			s := setting(b.Text, b.Small, sampling)
			with, without := runKey{scenario, s, b.LibraryAccounting}, runKey{scenario, s, b.Library}
			c.compare(check{Target: "P11", What: describe(scenario, s), Limit: sameTime, Unit: "times the time without accounting"}, without, with)
			c.allocs("P11", describe(scenario, s), with, without, allocs)
		}
	}
}

// moreHeap is how much the heap may grow, since pools and timers hold some memory.
const moreHeap = 256 // KiB

// growth compares the second half of a run with the first. The first interval is a warm-up.
func growth(all []b.Interval) []check {
	warm := all[min(1, len(all)):]
	half := len(warm) / 2
	var early, ratios []float64
	for _, i := range warm[:half] {
		early = append(early, i.Nanoseconds)
	}
	for _, i := range warm[half:] {
		ratios = append(ratios, i.Nanoseconds/quartilesOf(early).Median)
	}
	what := fmt.Sprintf("publish and receive, %d messages", all[len(all)-1].Messages)
	grown := float64(int64(all[len(all)-1].Heap)-int64(warm[0].Heap)) / 1024
	return []check{
		check{Target: "P10", What: what, Limit: sameTime, Unit: "times the CPU time of the first half", Got: quartilesOf(ratios)}.judge(),
		check{Target: "P10", What: what, Limit: moreHeap, Unit: "KiB more heap at the end", Got: exactly(grown)}.judge(),
	}
}

// growthWithNames compares larger subscriptions with the first one.
func growthWithNames(all []subscribed) []check {
	var checks []check
	for _, s := range all[1:] {
		checks = append(checks, check{
			Target: "P10", What: fmt.Sprintf("receive, %d channels in the subscription", s.Names),
			Limit: sameTime, Unit: "times the time with one channel", Got: s.Time,
		}.judge())
	}
	return checks
}

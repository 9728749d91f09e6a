// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// table is printed as Markdown with aligned columns, so that it can be read in a terminal,
// too.
type table struct{ rows [][]string }

func newTable(columns ...string) *table { return &table{[][]string{columns}} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) String() string {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for i, row := range t.rows {
		for j, cell := range row {
			fmt.Fprintf(&out, "| %s%s ", cell, strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)))
		}
		out.WriteString("|\n")
		if i > 0 {
			continue
		}
		for _, width := range widths {
			out.WriteString("|" + strings.Repeat("-", width+2))
		}
		out.WriteString("|\n")
	}
	return out.String()
}

// writePage writes a page of results. Its title is what was measured.
func writePage(path, title, text string) error {
	return os.WriteFile(path, []byte("# "+title+"\n\n[README.md](README.md) says what the words mean, and how this was measured.\n\n"+text), 0o644)
}

// reportText returns the text of a report, as Markdown.
func reportText(r *report) string {
	extra := append([]string{fmt.Sprintf("rounds: %d", r.Rounds)}, absolute(r.Measured)...)
	return fmt.Sprintf("%s\n%s\n%s", about(r.Machine, r.Command, extra...), targetTable(r.Targets), measuredTable(r.Measured))
}

// absolute returns times that are not relative, for a notion of what the ratios are worth on
// this machine.
func absolute(all []measurement) (lines []string) {
	for _, scenario := range []*b.Scenario{b.Publish, b.Receive} {
		s := setting(b.Text, b.Small, b.Sampled)
		took := make(map[string]float64)
		for _, m := range all {
			if m.Scenario == scenario.Name && m.Setting == s {
				took[m.Variant] = m.Nanoseconds / 1000
			}
		}
		lines = append(lines, fmt.Sprintf("in absolute time: %s: %.1f µs with %s, %.1f µs with %s",
			describe(scenario, s), took[b.Raw], b.Raw, took[b.Library], b.Library))
	}
	return lines
}

// about returns a list of what a report was made with.
func about(m machine, command string, extra ...string) string {
	var versions []string
	for _, path := range slices.Sorted(maps.Keys(m.Versions)) {
		versions = append(versions, strings.TrimPrefix(path, "github.com/")+" "+m.Versions[path])
	}
	lines := append([]string{
		"command: `" + command + "`",
		fmt.Sprintf("machine: %s, %d cores, %s; %s", m.CPU, m.Cores, m.System, m.Pinned),
		"load average over 1, 5 and 15 minutes, at the end: " + m.Load,
		"what is measured: " + m.Clock,
		fmt.Sprintf("versions: %s, Redis %s, %s", m.Go, m.Redis, strings.Join(versions, ", ")),
	}, extra...)
	return "- " + strings.Join(lines, "\n- ") + "\n"
}

func targetTable(checks []check) string {
	t := newTable("target", "what", "wanted", "median (quartiles)", "")
	for _, c := range checks {
		bound := "at most"
		if c.AtLeast {
			bound = "at least"
		}
		t.row(c.Means, c.What, fmt.Sprintf("%s %s %s", bound, number(c.Limit), c.Unit), got(c.Got), verdict(c.Met))
	}
	return t.String()
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

// got formats a measured value. A count has no quartiles.
func got(q quartiles) string {
	if q.Lower == q.Upper {
		return number(q.Median)
	}
	return q.String()
}

func number(f float64) string {
	if f == float64(int(f)) {
		return strconv.Itoa(int(f))
	}
	return ratio(f)
}

// summaryTable has one line for each target, with the number of its checks that are met.
func summaryTable(checks []check) string {
	t := newTable("target", "checks", "")
	for i := 1; i <= numberOfTargets; i++ {
		name := "P" + strconv.Itoa(i)
		all, met := 0, 0
		for _, c := range checks {
			if c.Target == name {
				all++
				if c.Met {
					met++
				}
			}
		}
		t.row(meanings[name], fmt.Sprintf("%d of %d met", met, all), verdict(met == all && all > 0))
	}
	return t.String()
}

const numberOfTargets = 11

func measuredTable(all []measurement) string {
	t := newTable("scenario", "variant", "speed", "allocations")
	last := ""
	for _, m := range all {
		name := describeNamed(m.Scenario, m.Setting) + ", against " + m.Against
		shown := name
		if name == last {
			shown = ""
		}
		last = name
		t.row(shown, m.Variant, got(m.Speed), allocs(m.Allocs))
	}
	return t.String()
}

func describeNamed(scenario string, s b.Setting) string {
	for _, known := range b.Scenarios {
		if known.Name == scenario {
			return describe(known, s)
		}
	}
	return scenario
}

// allocs formats a number of allocations, with a decimal if messages share allocations.
func allocs(f float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
}

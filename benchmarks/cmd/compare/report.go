// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// report is the report of a run.
type report struct {
	Machine  machine       `json:"machine"`
	Command  string        `json:"command"`
	Rounds   int           `json:"rounds"`
	Targets  []check       `json:"targets"`
	Measured []measurement `json:"measured"`
	Growth   []b.Interval  `json:"growth"`
}

// machine describes the machine and the versions.
type machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	System   string            `json:"system"`
	Pinned   string            `json:"pinned"`
	Load     string            `json:"load"` // its average over 1, 5 and 15 minutes, at the end
	Clock    string            `json:"clock"`
	Go       string            `json:"go"`
	Redis    string            `json:"redis"`
	Versions map[string]string `json:"versions"` // of the modules that are compared
}

// measurement is one variant in one setting.
type measurement struct {
	Scenario string    `json:"scenario"`
	Setting  b.Setting `json:"setting"`
	Variant  string    `json:"variant"`
	Against  string    `json:"against"` // the variant that the speed is relative to
	Speed    quartiles `json:"speed"`
	Rounds   []float64 `json:"rounds"` // the speed in each
	Allocs   float64   `json:"allocs"` // for one message
	Messages int       `json:"messages"`
	// Nanoseconds is the median of the time of one message. It holds for this machine and
	// moment.
	Nanoseconds float64 `json:"nanoseconds"`
}

// measurements returns the measurements of all comparisons, in their order.
func measurements(r *runner) []measurement {
	var all []measurement
	first := make(map[*comparison]*run)
	for _, run := range r.runs {
		if first[run.of] == nil {
			first[run.of] = run
		}
		against := first[run.of]
		ratios := speed(run, against)
		all = append(all, measurement{
			run.of.Scenario.Name, run.of.Setting, run.variant, against.variant, quartilesOf(ratios), ratios, run.allocs, run.n,
			quartilesOf(run.times).Median,
		})
	}
	return all
}

func aboutMachine(pinned string) machine {
	m := machine{
		CPU: "unknown", Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Pinned: pinned, Load: loadAverage(), Clock: clockNote, Go: runtime.Version(), Redis: "unknown", Versions: make(map[string]string),
	}
	if name := cpuName(); name != "" {
		m.CPU = name
	}
	if out, err := exec.Command("redis-server", "--version").Output(); err == nil {
		for field := range strings.FieldsSeq(string(out)) {
			if version, found := strings.CutPrefix(field, "v="); found {
				m.Redis = version
			}
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if slices.Contains(compared, module.Path) {
				m.Versions[module.Path] = module.Version
			}
		}
	}
	return m
}

// compared are the modules whose versions are in the report.
var compared = []string{
	"github.com/redis/go-redis/v9",
	"github.com/redis/go-redis/extra/redisotel/v9",
	"github.com/redis/rueidis",
	"github.com/redis/rueidis/rueidisotel",
	"github.com/ThreeDotsLabs/watermill",
	"github.com/cloudevents/sdk-go/v2",
	"github.com/tidwall/gjson",
	"github.com/bytedance/sonic",
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/sdk",
}

// loadAverage returns the load averages of the machine on Linux, or "unknown". This program is 1
// of them.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], ", ")
}

// cpuName returns the name of the processor on Linux, or "".
func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Command shares shows how the time of a CPU profile divides among this library, go-redis,
// OpenTelemetry, the Go runtime and the kernel.
//
//	go test -run '^$' -bench 'Receive/text/64B/sampled/metrics=off/channels=1/tracedpubsub$' -cpuprofile cpu.out
//	go run ./cmd/shares cpu.out
package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: shares cpu.out")
		os.Exit(2)
	}
	if err := run(os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "shares:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	p, err := profile.Parse(file)
	if err != nil {
		return err
	}
	shares, all := sharesOf(p)
	for _, owner := range slices.SortedFunc(maps.Keys(shares), func(a, b string) int { return cmp.Compare(shares[b], shares[a]) }) {
		if _, err := fmt.Fprintf(w, "%5.1f %%  %s\n", 100*float64(shares[owner])/float64(all), owner); err != nil {
			return err
		}
	}
	return nil
}

// sharesOf adds up the samples of each owner. The time of the standard library and of other
// modules, also for allocating memory, belongs to their caller. The time of the garbage
// collector and the scheduler belongs to the Go runtime.
func sharesOf(p *profile.Profile) (shares map[string]int64, all int64) {
	shares = make(map[string]int64)
	for _, sample := range p.Sample {
		value := sample.Value[len(sample.Value)-1] // a CPU profile has counts, then times
		shares[ownerOf(sample)] += value
		all += value
	}
	return shares, all
}

const goRuntime = "Go runtime"

func ownerOf(sample *profile.Sample) string {
	for _, location := range sample.Location { // from the innermost
		for _, line := range location.Line {
			if owner := owns(line.Function.Name); owner != "" {
				return owner
			}
		}
	}
	return goRuntime
}

// owners are the prefixes of functions, by their owner. Longer prefixes are first.
var owners = []struct{ prefix, owner string }{
	{"internal/runtime/syscall", "kernel"},
	{"runtime.futex", "kernel"},
	{"github.com/tracedpubsub/tracedpubsub/benchmarks", "benchmark"},
	{"github.com/tracedpubsub/tracedpubsub", "tracedpubsub"},
	{"github.com/redis/go-redis", "go-redis"},
	{"go.opentelemetry.io/", "OpenTelemetry"},
}

// owns returns the owner of a function, or "" if the function belongs to its caller.
func owns(function string) string {
	for _, o := range owners {
		if strings.HasPrefix(function, o.prefix) {
			return o.owner
		}
	}
	return ""
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// stack is a sample of so many nanoseconds; the innermost function comes first.
func stack(nanoseconds int64, functions ...string) *profile.Sample {
	s := &profile.Sample{Value: []int64{1, nanoseconds}}
	for _, f := range functions {
		s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: f}}}})
	}
	return s
}

func TestShares(t *testing.T) {
	const library, bench = "github.com/tracedpubsub/tracedpubsub.", "github.com/tracedpubsub/tracedpubsub/benchmarks."
	p := &profile.Profile{Sample: []*profile.Sample{
		stack(1, "runtime.mallocgc", library+"decode", bench+"drain"),
		stack(2, "hash/maphash.String", library+"(*spanNames).of"),
		stack(4, "go.opentelemetry.io/otel/sdk/trace.(*tracer).Start", library+"(*Message).Start"),
		stack(8, "internal/runtime/syscall/linux.Syscall6", "syscall.write", "github.com/redis/go-redis/v9.(*Client).Publish"),
		stack(16, "bufio.(*Writer).Write", "github.com/redis/go-redis/v9/internal/proto.(*Writer).WriteArg"),
		stack(32, "runtime.gcDrain", "runtime.gcBgMarkWorker"),
		stack(64, "runtime.mapassign", bench+"drain"),
		stack(128, "github.com/ThreeDotsLabs/watermill/message.NewMessage", bench+"encode"),
	}}
	want := map[string]int64{
		"tracedpubsub": 1 + 2, "OpenTelemetry": 4, "kernel": 8, "go-redis": 16, goRuntime: 32, "benchmark": 64 + 128,
	}
	got, all := sharesOf(p)
	if all != 255 || len(got) != len(want) {
		t.Errorf("%d in all, for %v, want 255 for %v", all, got, want)
	}
	for owner, nanoseconds := range want {
		if got[owner] != nanoseconds {
			t.Errorf("%s has %d, want %d", owner, got[owner], nanoseconds)
		}
	}
}

func TestPrintedShares(t *testing.T) {
	f := &profile.Function{ID: 1, Name: "github.com/redis/go-redis/v9.(*Client).Publish"}
	l := &profile.Location{ID: 1, Line: []profile.Line{{Function: f}}}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		Function:   []*profile.Function{f}, Location: []*profile.Location{l},
		Sample: []*profile.Sample{{Value: []int64{1, 30}, Location: []*profile.Location{l}}, {Value: []int64{1, 10}}},
	}
	name := filepath.Join(t.TempDir(), "cpu.out")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := run(&printed, name); err != nil {
		t.Fatal(err)
	}
	if want := " 75.0 %  go-redis\n 25.0 %  Go runtime\n"; printed.String() != want {
		t.Errorf("printed was\n%s, want\n%s", printed.String(), want)
	}
	if err := run(&printed, name+".missing"); err == nil {
		t.Error("a file that is not there is no error")
	}
}

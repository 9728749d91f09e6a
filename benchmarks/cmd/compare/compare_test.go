// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// TestMain fails the run if a test leaves a goroutine behind.
func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

// needsServer skips a test where there is no redis-server, as redistest does for the
// servers that it starts itself.
func needsServer(t *testing.T) {
	t.Helper()
	redistest.Start(t)
}

// runCompare runs the program, and returns what it printed and the folder it wrote to.
func runCompare(t *testing.T, args ...string) (printed, folder string) {
	t.Helper()
	needsServer(t)
	folder = t.TempDir()
	var stdout, stderr bytes.Buffer
	if err := program(t.Context(), append(args, "-out", folder), &stdout, &stderr); err != nil {
		t.Fatalf("compare %v: %v\n%s", args, err, &stderr)
	}
	return stdout.String(), folder
}

func readJSON[T any](t *testing.T, path string) (v T) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestQuickComparison(t *testing.T) {
	printed, folder := runCompare(t, "-quick", "-time", "200ms", "-rounds", "2")

	r := readJSON[report](t, filepath.Join(folder, "compare.json"))
	var targets []string
	for _, c := range r.Targets {
		targets = append(targets, c.Target)
	}
	for i := 1; i <= numberOfTargets; i++ {
		name := "P" + strconv.Itoa(i)
		if !slices.Contains(targets, name) {
			t.Errorf("target %s is not in the JSON", name)
		}
		if !strings.Contains(printed, "| "+meanings[name]+" ") {
			t.Errorf("target %s, %q, was not printed", name, meanings[name])
		}
	}
	wanted := 0
	for _, c := range comparisons() {
		wanted += len(c.Variants)
	}
	if len(r.Measured) != wanted {
		t.Errorf("%d measurements in the JSON, want %d", len(r.Measured), wanted)
	}
	for _, m := range r.Measured {
		if m.Variant == m.Against && m.Speed != exactly(1) {
			t.Errorf("%s: %q is %v times as fast as itself", m.Scenario, m.Variant, m.Speed)
		}
		if len(m.Rounds) != 2 || m.Speed.Lower <= 0 || m.Messages <= 0 {
			t.Errorf("not measured in two rounds: %+v", m)
		}
	}
	if r.Machine.Versions["github.com/redis/go-redis/v9"] == "" && r.Machine.Go == "" {
		t.Errorf("the machine is missing: %+v", r.Machine)
	}
	for _, name := range []string{"cost-light.svg", "cost-dark.svg"} {
		assertSVG(t, filepath.Join(folder, name), "Publish", "Receive", "tracedpubsub", "go-redis alone", "redisotel")
	}
}

// assertSVG asserts that a file is XML, and an SVG in which these texts are.
func assertSVG(t *testing.T, path string, texts ...string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var root string
	var written []string
	for d := xml.NewDecoder(bytes.NewReader(content)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s is not XML: %v", path, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if root == "" {
				root = token.Name.Local
			}
		case xml.CharData:
			written = append(written, string(token))
		}
	}
	if root != "svg" {
		t.Errorf("%s begins with %q, want svg", path, root)
	}
	for _, text := range texts {
		if !slices.Contains(written, text) {
			t.Errorf("%s does not have the text %q", path, text)
		}
	}
}

// The tables and pictures of the project show the results of the project.
func TestResultsAreRendered(t *testing.T) {
	const results = "../../results"
	folder := t.TempDir()
	measured, err := os.ReadFile(filepath.Join(results, "compare.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "compare.json"), measured, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := program(t.Context(), []string{"-render", "-out", folder}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]string{
		"compare.md": results, "cost-light.svg": "../../../docs/images", "cost-dark.svg": "../../../docs/images",
	} {
		want, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(at, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not made from compare.json (error: %v): go run -C benchmarks ./cmd/compare -render", name, err)
		}
	}
}

// The number of messages of a run does not depend on a single measurement, which another program
// may disturb.
func TestCalibrationSurvivesASlowStart(t *testing.T) {
	calls := 0
	do := func(n int) error {
		if calls++; calls == 1 {
			spin(20 * time.Millisecond)
		}
		spin(time.Duration(n) * time.Microsecond)
		return nil
	}
	nothing := func() error { return nil }
	r := &run{
		of:     &comparison{Scenario: b.Encode, Setting: setting(b.Text, b.Small, b.NoOp)},
		bench:  &b.Bench{Prepare: func(int) error { return nil }, Do: do, Finish: nothing, Close: nothing},
		target: 5 * time.Millisecond,
	}
	env := b.NewEnv("127.0.0.1:1", nil) // nothing is sent there
	t.Cleanup(func() { _ = env.Close() })
	if err := r.calibrate(&place{env: env}); err != nil {
		t.Fatal(err)
	}
	if r.n < 500 {
		t.Errorf("%d messages of a microsecond are to take 5 ms", r.n)
	}
}

// spin computes for that time.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

func TestShortGrowth(t *testing.T) {
	_, folder := runCompare(t, "-grow", "-messages", "40000", "-channels", "20000", "-rounds", "1")
	g := readJSON[grown](t, filepath.Join(folder, "grow.json"))
	if n := len(g.Intervals); n != 20 || g.Intervals[n-1].Messages != 40_000 {
		t.Errorf("intervals are %v, want 20 up to 40000 messages", g.Intervals)
	}
	if len(g.Subscriptions) != 3 || len(g.Targets) != 4 {
		t.Errorf("%d subscriptions and %d targets, want 3 and 4", len(g.Subscriptions), len(g.Targets))
	}
}

func TestScaling(t *testing.T) {
	_, folder := runCompare(t, "-scale", "-rounds", "1")
	s := readJSON[scaled](t, filepath.Join(folder, "scale.json"))
	var shards []int
	for _, row := range s.Rows {
		shards = append(shards, row.Shards)
		if row.Raw.Median <= 0 || row.Library.Median <= 0 || row.Speed.Median <= 0 {
			t.Errorf("not measured: %+v", row)
		}
	}
	if !slices.Equal(shards, []int{1, 2, 3, 1, 2, 3}) {
		t.Errorf("shards are %v, want 1, 2 and 3 twice", shards)
	}
}

// Without redis-server, the program says how to install it.
func TestWithoutServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := program(t.Context(), []string{"-quick", "-out", t.TempDir()}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "to install it: apt-get install redis-server") {
		t.Errorf("error is %v, want one that says how to install redis-server", err)
	}
}

// An interrupt ends a run, and with it the server: TestMain would find its goroutine.
func TestInterrupt(t *testing.T) {
	needsServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := program(ctx, []string{"-quick", "-out", t.TempDir()}, io.Discard, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		reason string
		args   []string
	}{
		{"no such flag", []string{"-fast"}},
		{"no arguments besides flags", []string{"quick"}},
		{"one thing at a time", []string{"-grow", "-scale"}},
		{"what is rendered was measured before", []string{"-quick", "-render"}},
		{"quartiles of nothing", []string{"-rounds", "-1"}},
	} {
		if err := program(t.Context(), append(tt.args, "-out", t.TempDir()), io.Discard, io.Discard); err == nil {
			t.Errorf("%s: no error of %v", tt.reason, tt.args)
		}
	}
}

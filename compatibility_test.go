// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"maps"
	"regexp"
	"strings"
	"testing"
)

// tested has the oldest and the newest version of what the library is tested with.
type tested struct{ oldest, newest string }

var (
	tableRow     = regexp.MustCompile(`(?m)^\| (Go|go-redis|OpenTelemetry|Redis|Valkey|Redict) \| v?([\d.]+)[^|]*\| v?([\d.]+)`)
	matrixServer = regexp.MustCompile(`server: (\w+) ([\d.]+),`)
)

// The table of the README says what CI runs: the oldest versions are those of go.mod, the newest
// those of a module beside it, and the servers those of the workflow.
func TestCompatibility(t *testing.T) {
	want := make(map[string]tested)
	for name, version := range map[string]*regexp.Regexp{
		"Go":            regexp.MustCompile(`(?m)^go (\d+\.\d+)`),
		"go-redis":      regexp.MustCompile(`(?m)^\tgithub\.com/redis/go-redis/v9 v(\d+\.\d+)`),
		"OpenTelemetry": regexp.MustCompile(`(?m)^\tgo\.opentelemetry\.io/otel v(\d+\.\d+)`),
	} {
		oldest := version.FindStringSubmatch(readFile(t, "go.mod"))
		newest := version.FindStringSubmatch(readFile(t, "test/otlp/go.mod"))
		if oldest == nil || newest == nil {
			t.Fatalf("a go.mod names no version of %s", name)
		}
		want[name] = tested{oldest[1], newest[1]}
	}
	for _, m := range matrixServer.FindAllStringSubmatch(readFile(t, ".github/workflows/ci.yml"), -1) {
		row, known := want[m[1]]
		if !known || m[2] < row.oldest {
			row.oldest = m[2]
		}
		row.newest = max(row.newest, m[2])
		want[m[1]] = row
	}
	_, section, found := strings.Cut(readFile(t, "README.md"), "\n## Compatibility\n")
	if !found {
		t.Fatal("the README has no table of versions")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	got := make(map[string]tested)
	for _, m := range tableRow.FindAllStringSubmatch(section, -1) {
		got[m[1]] = tested{m[2], m[3]}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the README says %v, and CI runs %v", got, want)
	}
}

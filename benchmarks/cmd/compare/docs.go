// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// splice replaces the text between the two comments called name in a Markdown file.
func splice(path, name, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, found := strings.Cut(string(content), begin)
	if !found {
		return fmt.Errorf("%s has no line %q", path, strings.TrimSpace(begin))
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		return fmt.Errorf("%s has no %q", path, end)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+text+"\n"+end+after), 0o644)
}

// shortTable is the table of the project's README, with speeds relative to go-redis alone.
func shortTable(r results) (string, error) {
	columns := []string{b.Library, b.Tutorial, b.Redisotel}
	t := newTable("the speed of go-redis alone = 1", "tracedpubsub", "by hand, with encoding/json", "redisotel, which carries no context")
	for _, row := range []struct {
		scenario *b.Scenario
		setting  b.Setting
	}{
		{b.Publish, setting(b.Text, b.Small, b.Sampled)},
		{b.Publish, setting(b.Text, b.Small, b.Unsampled)},
		{b.Publish, setting(b.Text, b.Small, b.NoOp)},
		{b.Pipeline, setting(b.Text, b.Small, b.Sampled)},
		{b.Receive, setting(b.Text, b.Small, b.Sampled)},
		{b.Receive, setting(b.Text, b.Small, b.Unsampled)},
	} {
		raw, err := r.of(row.scenario, row.setting, b.Raw)
		if err != nil {
			return "", err
		}
		cells := []string{describe(row.scenario, row.setting)}
		for _, variant := range columns {
			of, err := r.of(row.scenario, row.setting, variant)
			if err != nil { // it cannot do this
				cells = append(cells, "–")
				continue
			}
			cells = append(cells, quartilesOf(speed(of, raw)).String())
		}
		t.row(cells...)
	}
	return t.String(), nil
}

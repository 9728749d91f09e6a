// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var goFence = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// The Go code of the page about missed messages is that of the cache.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("cache.go")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## What you missed, counted\n")
	section, _, _ = strings.Cut(section, "\n## ")
	fences := goFence.FindAllStringSubmatch(section, -1)
	if len(fences) == 0 {
		t.Error("there is no Go code")
	}
	for _, fence := range fences {
		if !strings.Contains(string(code), fence[1]) {
			t.Errorf("cache.go does not have this code of docs/reliability.md:\n%s", fence[1])
		}
	}
}

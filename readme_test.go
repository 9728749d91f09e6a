// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
)

var (
	goFence     = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	exampleBody = regexp.MustCompile(`(?ms)^func (Example\w*)\(\) \{\n(.*?)^\}$`)
)

// The Go code of the README and of docs is in the bodies of examples, which are compiled, run,
// and checked for what they print.
func TestReadme(t *testing.T) {
	for document, sources := range map[string][]string{
		"README.md":         {"example_test.go"},
		"docs/consumers.md": {"example_consumers_test.go"},
	} {
		var paragraphs []string
		for _, source := range sources {
			paragraphs = append(paragraphs, exampleParagraphs(t, source)...)
		}
		fences := goFence.FindAllStringSubmatch(readFile(t, document), -1)
		if len(fences) == 0 {
			t.Errorf("%s has no Go code", document)
		}
		for _, fence := range fences {
			if !slices.ContainsFunc(paragraphs, func(p string) bool { return strings.HasPrefix(p, fence[1]) }) {
				t.Errorf("no paragraph of an example begins with this code of %s:\n%s", document, fence[1])
			}
		}
	}
}

// exampleParagraphs returns the code of examples, from each empty line of a body on. What is above
// the first of them is the setup.
func exampleParagraphs(t *testing.T, source string) (paragraphs []string) {
	t.Helper()
	for _, m := range exampleBody.FindAllStringSubmatch(readFile(t, source), -1) {
		body := strings.TrimPrefix(strings.ReplaceAll("\n"+m[2], "\n\t", "\n"), "\n")
		body, _, checked := strings.Cut(body, "// Output:")
		if !checked {
			t.Errorf("%s prints nothing that is checked", m[1])
		}
		for {
			var found bool
			if _, body, found = strings.Cut(body, "\n\n"); !found {
				break
			}
			paragraphs = append(paragraphs, body)
		}
	}
	return paragraphs
}

var newestHeading = regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\]`)

// Version is the newest version in the changelog.
func TestVersionIsNewestInChangelog(t *testing.T) {
	m := newestHeading.FindStringSubmatch(readFile(t, "CHANGELOG.md"))
	if m == nil {
		t.Fatal("CHANGELOG.md names no version")
	}
	if m[1] != tracedpubsub.Version {
		t.Errorf("Version is %s, the newest in CHANGELOG.md %s", tracedpubsub.Version, m[1])
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

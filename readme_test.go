// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
)

var (
	goFence     = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	exampleBody = regexp.MustCompile(`(?ms)^func (Example\w*)\(\) \{\n(.*?)^\}$`)
)

// The Go code of the README is in the bodies of examples, which are compiled, run, and
// checked for what they print.
func TestReadme(t *testing.T) {
	examples := make(map[string]string)
	for _, m := range exampleBody.FindAllStringSubmatch(readFile(t, "example_test.go"), -1) {
		body := strings.ReplaceAll("\n"+m[2], "\n\t", "\n")
		_, body, _ = strings.Cut(strings.TrimPrefix(body, "\n"), "\n\n") // its setup
		body, _, checked := strings.Cut(body, "// Output:")
		if !checked {
			t.Errorf("%s prints nothing that is checked", m[1])
		}
		examples[m[1]] = body
	}
	fences := goFence.FindAllStringSubmatch(readFile(t, "README.md"), -1)
	if len(fences) == 0 {
		t.Fatal("README.md has no Go code")
	}
	for _, fence := range fences {
		found := false
		for _, body := range examples {
			found = found || strings.HasPrefix(body, fence[1])
		}
		if !found {
			t.Errorf("no example's body begins with this code of README.md:\n%s", fence[1])
		}
	}
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
)

var (
	goFence = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	example = regexp.MustCompile(`(?ms)^func (Example\w*)\(\) \{\n(.*?)^\}$`)
)

// The README is read in a few minutes. Its words are those that this command counts:
//
//	awk '/^```/ { code = !code; next } !code' README.md | wc -w
func TestReadmeIsShort(t *testing.T) {
	const least, most = 900, 1100
	if n := len(strings.Fields(withoutCode(readFile(t, "README.md")))); n < least || n > most {
		t.Errorf("README.md has %d words, want %d to %d", n, least, most)
	}
}

// withoutCode returns the lines of a Markdown document that are not in blocks of code.
func withoutCode(document string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(document) {
		if strings.HasPrefix(line, "```") {
			code = !code
		} else if !code {
			b.WriteString(line)
		}
	}
	return b.String()
}

// The Go code of the documents is code that is compiled, and run by a test: the beginning of a
// paragraph in an example whose output is checked, or declarations or the whole of a file beside
// a test.
func TestDocumentsHaveTestedCode(t *testing.T) {
	var paragraphs, files []string
	for _, source := range glob(t, "example*_test.go") {
		paragraphs = append(paragraphs, exampleParagraphs(t, source)...)
	}
	for _, source := range slices.Concat(glob(t, "example*_test.go"), glob(t, "examples/*/*.go")) {
		files = append(files, readFile(t, source))
	}
	for _, document := range documents(t) {
		for _, fence := range goFence.FindAllStringSubmatch(readFile(t, document), -1) {
			code := fence[1]
			begins := func(paragraph string) bool { return strings.HasPrefix(paragraph, code) }
			declares := func(file string) bool { return hasDeclarations(file, code) }
			if !slices.ContainsFunc(paragraphs, begins) && !slices.ContainsFunc(files, declares) {
				t.Errorf("no test runs this code of %s:\n%s", document, code)
			}
		}
	}
}

// documents returns the pages for users.
func documents(t *testing.T) []string { return append(glob(t, "docs/*.md"), "README.md") }

// exampleParagraphs returns the code of examples, from each empty line of a body on. What is above
// the first of them is the setup.
func exampleParagraphs(t *testing.T, source string) (paragraphs []string) {
	t.Helper()
	for _, m := range example.FindAllStringSubmatch(readFile(t, source), -1) {
		body, _, checked := strings.Cut(m[2], "// Output:")
		if !checked {
			t.Errorf("%s prints nothing that is checked", m[1])
		}
		for {
			var found bool
			if _, body, found = strings.Cut(body, "\n\n"); !found {
				break
			}
			indentation := body[:len(body)-len(strings.TrimLeft(body, "\t"))]
			paragraph := strings.ReplaceAll("\n"+body, "\n"+indentation, "\n")
			paragraphs = append(paragraphs, strings.TrimPrefix(paragraph, "\n"))
		}
	}
	return paragraphs
}

// nextDeclaration matches where a declaration begins behind another one.
var nextDeclaration = regexp.MustCompile(`\n\n(?:func|type|var|const|//) ?`)

// hasDeclarations reports whether a file has the declarations of code, each as a whole.
func hasDeclarations(file, code string) bool {
	for code != "" {
		declaration := code
		if next := nextDeclaration.FindStringIndex(code); next != nil && !strings.HasPrefix(code, "package ") {
			declaration, code = code[:next[0]+1], code[next[0]+2:]
		} else {
			code = ""
		}
		if !strings.Contains(file, "\n"+declaration) {
			return false
		}
	}
	return true
}

var newestHeading = regexp.MustCompile(`(?m)^## \[(?:Unreleased\] \()?(\d+\.\d+\.\d+)[\])]`)

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

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || names == nil {
		t.Fatalf("no file is called %s: %v", pattern, err)
	}
	return names
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// writeSnippet cuts the code in a language out of docs/wire-format.md, and writes it to a
// file. What is tested is what a reader of the page copies.
func writeSnippet(t *testing.T, fence, path string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "wire-format.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```"+fence+"\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(found) != 1 {
		t.Fatalf("docs/wire-format.md has %d blocks of %s, want one", len(found), fence)
	}
	if err := os.WriteFile(path, found[0][1], 0o600); err != nil {
		t.Fatal(err)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"runtime"
	"strings"
	"testing"
)

const modulePath = "github.com/tracedpubsub/tracedpubsub"

// LibraryGoroutines returns the stacks of the goroutines that the library started.
// Those that tests started are not among them.
func LibraryGoroutines() []string {
	buf := make([]byte, 1<<20)
	var found []string
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if isLibrary(stack) {
			found = append(found, stack)
		}
	}
	return found
}

// isLibrary reports whether the goroutine with the given stack was started by a
// function of the library.
func isLibrary(stack string) bool {
	_, creator, found := strings.Cut(stack, "created by "+modulePath)
	dir, _, _ := strings.Cut(creator, ".") // what follows the dot is the function
	switch {
	case !found, strings.HasSuffix(dir, "_test"), dir == "/internal/tracetest", dir == "/internal/redistest":
		return false
	}
	return dir == "" || strings.HasPrefix(dir, "/internal/")
}

// WaitForNoGoroutines waits until no goroutine of the library is left. The test must not call
// t.Parallel, as the goroutines of the tests beside it count as well.
func WaitForNoGoroutines(t *testing.T) {
	t.Helper()
	Eventually(t, "no goroutine is left", func() bool { return len(LibraryGoroutines()) == 0 })
}

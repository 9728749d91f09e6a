// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// The environment variable testsEnv says which tests run. It is no flag, because go test would
// pass a flag to packages that do not define it as well.
const testsEnv, testsLong = "TRACEDPUBSUB_TESTS", "long"

// RunsLong reports whether the tests that take long run too: if the environment variable
// TRACEDPUBSUB_TESTS is "long", as in CI.
func RunsLong() bool { return os.Getenv(testsEnv) == testsLong }

// Long skips a test that takes long, unless [RunsLong] is true. [Main] says how many were left
// out, and how to run them.
func Long(t testing.TB) {
	t.Helper()
	if !RunsLong() {
		leftOut.skip(t, "this test takes long; "+testsEnv+"="+testsLong+" runs it")
	}
}

var withoutServer, leftOut tally

// tally counts the tests and subtests that were skipped for one reason.
type tally struct{ tests atomic.Int64 }

func (c *tally) skip(t testing.TB, why string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Skipped() { // not if t only stands in for a test
			c.tests.Add(1)
		}
	})
	t.Skip(why)
}

// printSkipped prints how many tests were skipped and what makes them run. The go command
// shows it with -v, and if it is run in the folder of the package without naming packages.
func printSkipped(w io.Writer) {
	if n := withoutServer.tests.Load(); n > 0 {
		fmt.Fprintf(w, "skipped for lack of redis-server: %d; %s\n", n, installServer)
	}
	if n := leftOut.tests.Load(); n > 0 {
		fmt.Fprintf(w, "left out because they take long: %d; %s=%s runs them\n", n, testsEnv, testsLong)
	}
}

// parallelTests is how many tests with t.Parallel run at once. Most of them wait for a server or
// a timer, so that there may be more of them than processors.
const parallelTests = 8

// raiseParallel sets the default of the flag -parallel.
func raiseParallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given || fuzzing() { // which takes the flag for the number of processes
		return
	}
	f := flag.Lookup("test.parallel")
	if n, err := strconv.Atoi(f.Value.String()); err == nil && n < parallelTests {
		_ = f.Value.Set(strconv.Itoa(parallelTests))
	}
}

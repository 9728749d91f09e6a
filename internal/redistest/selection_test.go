// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Without a redis-server the tests of this very package are skipped one by one, and the others
// pass; in CI they fail. None of them takes the rest with it. The last lines say how many tests
// were skipped, and what to do about it.
func TestTheTestsWithoutRedisServer(t *testing.T) {
	for _, tt := range []struct {
		ci, tests string
		code      int
		none      string // of the outcomes
	}{
		{"", "", 0, "--- FAIL: "},
		{"true", "long", 1, "--- SKIP: "},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.skip=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "PATH="+t.TempDir(), "REDIS_SERVER=", "CI="+tt.ci, "TRACEDPUBSUB_TESTS="+tt.tests)
		out, _ := cmd.CombinedOutput() // the exit code says it as well
		got := string(out)
		if code := cmd.ProcessState.ExitCode(); code != tt.code || strings.Contains(got, tt.none) ||
			!strings.Contains(got, "apt-get install redis-server") || !strings.Contains(got, "--- PASS: TestProxyCut ") {
			t.Errorf("with CI=%q: exit code %d, want %d, how to install it, no %q, and other tests that pass:\n%s",
				tt.ci, code, tt.code, tt.none, got)
		}
		var want string
		if tt.ci == "" {
			want = fmt.Sprintf("skipped for lack of redis-server: %d; "+
				"to install it: apt-get install redis-server, or brew install redis\n"+
				"left out because they take long: %d; TRACEDPUBSUB_TESTS=long runs them\n",
				strings.Count(got, ": this test needs redis-server in PATH;"), strings.Count(got, ": this test takes long;"))
		}
		if _, last, _ := strings.Cut(got, "\nPASS\n"); last != want {
			t.Errorf("with CI=%q: the last lines are %q, want %q", tt.ci, last, want)
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// leakTimeout is how long goroutines may take to end after the last test. A Close method
// often does not wait for the goroutines that it ends.
const leakTimeout = 10 * time.Second

// Main runs the tests and returns the exit code for TestMain. If all tests pass, but have
// left goroutines that do not end in time, it prints their stacks and returns 1. An open
// subscription has goroutines; an idle client has none.
//
// At the end it prints how many tests were skipped for lack of redis-server, and how many
// because they take long. Unless the flag -parallel is given, at least eight tests run at once,
// of those that call t.Parallel.
//
//	func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }
func Main(m *testing.M) int {
	raiseParallel()
	before := goroutines()
	code := m.Run()
	printSkipped(os.Stdout)
	if code != 0 || fuzzing() {
		return code // a test that has failed may leave goroutines
	}
	if leaked := leaked(before, leakTimeout); len(leaked) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: goroutines left %v after the last test: %d\n\n%s\n",
			leakTimeout, len(leaked), strings.Join(leaked, "\n\n"))
		return 1
	}
	return 0
}

// fuzzing reports whether this process searches new inputs. It then has goroutines of package
// testing, and the exit code of a worker is ignored. The known inputs are run as ordinary
// tests, which are checked.
func fuzzing() bool {
	f := flag.Lookup("test.fuzz")
	return f != nil && f.Value.String() != ""
}

// leaked returns the stacks of the goroutines that are not in before. It waits
// for them to end, up to timeout.
func leaked(before map[string]string, timeout time.Duration) []string {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var stacks []string
		now := goroutines()
		endless := ofFailoverClusters(now)
		for id, stack := range now {
			if _, ok := before[id]; !ok && !endless[id] {
				stacks = append(stacks, stack)
			}
		}
		if len(stacks) == 0 {
			return nil
		}
		select {
		case <-tick.C: // there is no event when a goroutine ends: check again
		case <-deadline.C:
			slices.Sort(stacks)
			return stacks
		}
	}
}

// goroutines returns the stacks of all goroutines by their number, without those of the
// runtime.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	all := make(map[string]string)
	for stack := range bytes.SplitSeq(bytes.TrimSpace(buf[:n]), []byte("\n\n")) {
		if bytes.Contains(stack, []byte("\nos/signal.loop(")) {
			continue // the first signal.Notify starts it for good
		}
		id := bytes.Fields(stack)[1] // "goroutine 7 [running]: …"
		all[string(id)] = string(stack)
	}
	return all
}

// ofFailoverClusters returns the goroutines that listen to sentinels. Those of a client made by
// redis.NewFailoverClusterClient do not end with Close, and nothing else ends them.
func ofFailoverClusters(all map[string]string) map[string]bool {
	endless := make(map[string]bool)
	for id, stack := range all {
		if strings.Contains(stack, "go-redis/v9.(*sentinelFailover).listen(") {
			endless[id] = true
		}
	}
	for id, stack := range all {
		// "created by github.com/… in goroutine 7\n\t/…"
		_, creator, _ := strings.Cut(stack, " in goroutine ")
		creator, _, _ = strings.Cut(creator, "\n")
		if endless[creator] {
			endless[id] = true
		}
	}
	return endless
}

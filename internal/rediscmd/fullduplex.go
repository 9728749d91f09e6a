// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd

import (
	"runtime"
	"strings"
)

// fullDuplexFunction is in the names of the functions of a full-duplex auto-pipeline.
const fullDuplexFunction = "go-redis/v9.(*fdEngine)."

// outermost is the number of frames in which a goroutine of a full-duplex auto-pipeline begins:
// that of the runtime, that of the go statement, and that of the function.
const outermost = 3

// deepest is how many frames such a goroutine has at most, with some twenty hooks. Those of an
// application have more, and to look at all of them takes long.
const deepest = 48

// OnFullDuplex reports whether the hook that calls it runs on a full-duplex auto-pipeline.
// There, go-redis sends the command of the caller, and ignores a substitute.
//
// go-redis tells a hook in no other way than by the goroutine that it starts for the hook. The
// command of the caller must not be read, because it may be receiving its reply.
func OnFullDuplex() bool {
	var stack [deepest]uintptr
	n := runtime.Callers(2, stack[:])
	for _, pc := range stack[max(0, n-outermost):n] {
		if f := runtime.FuncForPC(pc - 1); f != nil && strings.Contains(f.Name(), fullDuplexFunction) {
			return true
		}
	}
	return false
}

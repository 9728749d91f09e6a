// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd

import (
	"runtime"
	"strings"
)

// fullDuplexFunction is in the names of the functions of a full-duplex auto-pipeline.
const fullDuplexFunction = "go-redis/v9.(*fdEngine)."

// OnFullDuplex reports whether the hook that calls it runs on a full-duplex auto-pipeline.
// There, go-redis sends the command of the caller, and ignores a substitute.
//
// A substitute without a reply looks the same if a later hook has sent nothing. go-redis
// tells a hook in no other way, and the command of the caller must not be read, because it
// may be receiving its reply. OnFullDuplex takes microseconds, so it is for rare cases.
func OnFullDuplex() bool {
	var callers [256]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, fullDuplexFunction) {
			return true
		}
		if !more {
			return false
		}
	}
}

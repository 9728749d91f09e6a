// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import "syscall"

// dieWithParent makes the kernel end a server when the test binary dies before
// its clean-up: by a panic, by the time limit of go test, or as a fuzzing
// worker. The kernel means the parent thread, which the Go runtime keeps as
// long as no test ends a goroutine that is locked to its thread.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import "syscall"

// dieWithParent makes the kernel kill a server when the test binary ends without its
// clean-up: by a panic, by the time limit of go test, or as a fuzzing worker. For the kernel,
// the parent is a thread. The Go runtime keeps it, unless a test ends a goroutine that is
// locked to its thread.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

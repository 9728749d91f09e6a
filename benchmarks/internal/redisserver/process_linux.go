// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisserver

import "syscall"

// dieWithParent makes the kernel end a server when the program dies before it has
// stopped it. A Ctrl-C, which goes to all of a process group, is for the program alone:
// without its server, what runs would wait for messages that do not come any more.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

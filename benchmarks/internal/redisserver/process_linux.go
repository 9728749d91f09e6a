// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisserver

import "syscall"

// dieWithParent makes the kernel kill a server when the program ends without stopping it. It
// also keeps a Ctrl-C, which goes to a whole process group, from the server: without its
// server, a benchmark would wait for messages that do not arrive any more.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

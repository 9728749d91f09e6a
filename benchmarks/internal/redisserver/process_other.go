// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package redisserver

import "syscall"

// dieWithParent does nothing, since only Linux can kill a process with its parent.
func dieWithParent() *syscall.SysProcAttr { return nil }

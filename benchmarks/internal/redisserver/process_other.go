// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package redisserver

import "syscall"

// dieWithParent does nothing here: only Linux can tie a process to its parent.
func dieWithParent() *syscall.SysProcAttr { return nil }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package redistest

import "syscall"

// dieWithParent does nothing, since only Linux can kill a process with its parent. A test
// binary that ends without its clean-up leaves its servers running.
func dieWithParent() *syscall.SysProcAttr { return nil }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package redistest

import "syscall"

// dieWithParent does nothing here: only Linux can tie a process to its parent.
// A test binary that dies before its clean-up leaves its servers running.
func dieWithParent() *syscall.SysProcAttr { return nil }

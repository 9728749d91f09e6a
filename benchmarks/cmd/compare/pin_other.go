// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "runtime"

// pin cannot tie a process to a core on this system. Go gets one processor, and the server
// may run on any core. Ratios of synchronous publishing mean less then.
func pin() (string, error) {
	runtime.GOMAXPROCS(1)
	return "not pinned: this system cannot tie a process to a core", nil
}

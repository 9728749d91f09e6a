// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package benchmarks

import "time"

var started = time.Now()

// cpuTime returns the time that has passed. There is no code for the CPU time of this
// system.
func cpuTime() (time.Duration, error) { return time.Since(started), nil }

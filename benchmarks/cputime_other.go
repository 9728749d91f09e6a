// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package benchmarks

import "time"

var started = time.Now()

// cpuTime is the time that has passed: this system is asked for nothing better.
func cpuTime() (time.Duration, error) { return time.Since(started), nil }

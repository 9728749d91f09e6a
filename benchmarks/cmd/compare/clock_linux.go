// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// clock returns the CPU time of this process and its servers. On one core, only one of them
// runs at a time, so that is the time that passes, without the time of other programs.
type clock struct{ servers []int }

func (c clock) now() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range append([]int{0}, c.servers...) {
		// The kernel's number for the clock of a process; 0 is this one.
		var at unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &at); err != nil {
			return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		sum += time.Duration(at.Nano())
	}
	return sum, nil
}

const clockNote = "the time that client and server compute"

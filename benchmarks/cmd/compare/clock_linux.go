// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// clock counts what this process and its servers compute. On one core, where one
// of them computes at any time, that is the time that passes, less what all other
// programs take of the core in the meantime.
type clock struct{ servers []int }

func (c clock) now() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range append([]int{0}, c.servers...) {
		// The kernel's number for the clock of a process; 0 is this one.
		var at unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &at); err != nil {
			return 0, fmt.Errorf("ask for the time that process %d has computed: %w", pid, err)
		}
		sum += time.Duration(at.Nano())
	}
	return sum, nil
}

const clockNote = "the time that client and server compute"

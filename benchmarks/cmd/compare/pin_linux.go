// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// pin ties this process, and all processes that it starts later, to one core. With two
// cores, most of the measured time would be that to wake the other core. pin returns a
// description of what it has done.
func pin() (string, error) {
	runtime.GOMAXPROCS(1)
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return "", fmt.Errorf("get the cores: %w", err)
	}
	core := -1
	for i := range 64 * len(allowed) {
		if allowed.IsSet(i) {
			core = i // the last: interrupts go to the first more often
		}
	}
	if core < 0 {
		return "", errors.New("this process is allowed no core")
	}
	var one unix.CPUSet
	one.Set(core)
	// Each thread has an affinity, and a new thread that of the thread that creates it. In
	// the second pass, all threads that may create others are tied.
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return "", err
		}
		for _, thread := range threads {
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return "", err
			}
			if err := unix.SchedSetaffinity(id, &one); err != nil && !errors.Is(err, unix.ESRCH) {
				return "", fmt.Errorf("tie a thread to core %d: %w", core, err)
			}
		}
	}
	return fmt.Sprintf("client and server on core %d", core), nil
}

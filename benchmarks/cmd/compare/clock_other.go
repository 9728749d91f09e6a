// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "time"

// clock returns the time that passes, since this system does not report the CPU time of
// another process.
type clock struct{ servers []int }

var started = time.Now()

func (c clock) now() (time.Duration, error) { return time.Since(started), nil }

const clockNote = "the time that passes"

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "time"

// clock counts the time that passes: what client and server compute together, this
// system does not tell.
type clock struct{ servers []int }

var started = time.Now()

func (c clock) now() (time.Duration, error) { return time.Since(started), nil }

const clockNote = "the time that passes"

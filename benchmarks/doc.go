// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package benchmarks holds what tracedpubsub is compared with, side by side: the
// bare client, other instrumentations, what people write by hand, and the floor
// below which nobody gets.
//
// A [Scenario] is something to do, with each [Variant] of doing it; a [Setting]
// says with what. Each way to get messages through Redis has a file of its own.
// The benchmarks of this package run every combination:
//
//	go test -bench 'Publish/text/64B/sampled'
//
// Their nanoseconds are of one machine in one minute. What can be compared is what
// cmd/compare prints: ratios between variants that took turns.
package benchmarks

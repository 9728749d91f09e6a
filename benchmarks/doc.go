// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package benchmarks compares tracedpubsub with the client alone, other instrumentations,
// hand-written code, and the lowest possible cost of a span.
//
// A [Scenario] is a task, such as publishing. A [Variant] is a way to do it, and a [Setting]
// has the payload and the telemetry. Each variant has a file of its own. The benchmarks of
// this package run every combination:
//
//	go test -bench 'Publish/text/64B/sampled'
//
// Their nanoseconds depend on the machine and the moment. Only the output of cmd/compare can
// be compared: ratios between variants that have taken turns.
package benchmarks

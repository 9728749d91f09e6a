// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry tests spans, metrics and trace context as an application sees them:
// attributes and links, options and their combinations, global providers, instruments,
// and what a publisher that is not trusted can do.
package telemetry

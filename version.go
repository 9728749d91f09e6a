// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

const (
	// ScopeName is the name of the instrumentation scope of all spans and metrics.
	ScopeName = "github.com/tracedpubsub/tracedpubsub"
	// Version is the version of this package, and of its instrumentation scope.
	Version = "0.1.0"
)

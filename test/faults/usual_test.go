// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// usualFaults are the faults of TestMatrix that are not among the tests that take long: those
// whose scenes are cheap, on a server, a cluster and a Ring.
var usualFaults = []string{
	"CLIENT KILL",
	"killed and restarted after seconds",
	"stopped and continued",
	"cut, and a black hole",
	"split byte by byte, and cut",
	"cut, with TLS",
	"slot migrated",
	"all shards of a Ring down",
}

// selectFault skips the test of a fault that is not usual, unless the long tests run.
func selectFault(t *testing.T, f fault) {
	t.Helper()
	if !*fullMatrix && !slices.Contains(usualFaults, f.name) {
		redistest.Long(t)
	}
}

func TestUsualFaultsExist(t *testing.T) {
	for _, name := range usualFaults {
		if !slices.ContainsFunc(allFaults, func(f fault) bool { return f.name == name }) {
			t.Errorf("no fault has the name %q", name)
		}
	}
}

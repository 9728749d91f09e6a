// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisserver

import (
	"syscall"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// What a terminal sends to the program does not get to its servers.
func TestAServerIsInNoProcessGroupOfOurs(t *testing.T) {
	redistest.Start(t) // skips the test where there is none
	s, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	group, err := syscall.Getpgid(s.PID())
	if err != nil || group == syscall.Getpgrp() {
		t.Errorf("the server is in process group %d, %v; so is this test", group, err)
	}
}

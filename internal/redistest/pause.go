// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"errors"
	"syscall"
)

// Pause stops the server's process and returns when it has stopped. The kernel still accepts
// connections and data for it, but there is no answer. So it looks like a server that hangs,
// or a network that loses packets.
func (s *Server) Pause() {
	s.t.Helper()
	if s.paused {
		return // it would not stop a second time
	}
	if err := s.process.Process.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatalf("pause redis-server: %v", err)
	}
	// Wait until the process has stopped. A test that needs silence must not get one last
	// answer.
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(s.process.Process.Pid, &status, syscall.WUNTRACED, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			s.t.Fatalf("pause redis-server: %v", err)
		case !status.Stopped():
			s.t.Fatal("pause redis-server: it ended instead")
		default:
			s.paused = true
			return
		}
	}
}

// Resume continues a paused server. It then answers the commands that were sent in the
// meantime.
func (s *Server) Resume() {
	s.t.Helper()
	if err := s.process.Process.Signal(syscall.SIGCONT); err != nil {
		s.t.Fatalf("resume redis-server: %v", err)
	}
	s.paused = false
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"errors"
	"syscall"
)

// Pause stops the server's process and returns when it stands still. The kernel
// goes on accepting connections and data for it, but nobody answers: it is how
// a server hangs, or how a network loses packets.
func (s *Server) Pause() {
	s.t.Helper()
	if s.paused {
		return // it would not stop a second time
	}
	if err := s.process.Process.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatalf("pause redis-server: %v", err)
	}
	// The signal is sent, not yet obeyed: a test that counts on silence must
	// not get an answer from in between.
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

// Resume lets a paused server go on. It answers then what it was sent
// meanwhile.
func (s *Server) Resume() {
	s.t.Helper()
	if err := s.process.Process.Signal(syscall.SIGCONT); err != nil {
		s.t.Fatalf("resume redis-server: %v", err)
	}
	s.paused = false
}

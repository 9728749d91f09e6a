// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"bytes"
	"strings"
	"sync"
)

// serverLog collects the output of a server, and finds the line that says that the server is
// ready. Unlike a PING, that needs no password, and if another process has taken the port,
// its reply is not mistaken for the server's.
type serverLog struct {
	ready chan struct{} // closed when the server is ready
	line  string        // what the log says then

	mu      sync.Mutex
	text    bytes.Buffer
	isReady bool
}

func newServerLog(line string) *serverLog {
	return &serverLog{ready: make(chan struct{}), line: line}
}

// Write appends the next piece of output. A line may arrive in several pieces.
func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if !l.isReady && bytes.Contains(l.text.Bytes(), []byte(l.line)) {
		l.isReady = true
		close(l.ready)
	}
	return len(b), nil
}

// String returns all of the output so far.
func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tail returns the last lines of the output. All output of a cluster would hide the message
// of the test that has failed.
func (l *serverLog) tail(lines int) string {
	all := strings.SplitAfter(l.String(), "\n")
	return strings.Join(all[max(0, len(all)-1-lines):], "")
}

func (l *serverLog) portTaken() bool {
	return strings.Contains(l.String(), "Address already in use")
}

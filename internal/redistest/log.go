// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"bytes"
	"strings"
	"sync"
)

// serverLog collects what a server prints and notices the line that says it is
// ready. That is better than asking the server itself: it needs no password,
// and on a port that somebody else has taken nobody else answers.
type serverLog struct {
	ready chan struct{} // closed at the line that says so

	mu      sync.Mutex
	text    bytes.Buffer
	isReady bool
}

func newServerLog() *serverLog {
	return &serverLog{ready: make(chan struct{})}
}

// Write takes the next piece of output. A line may come in several.
func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if !l.isReady && bytes.Contains(l.text.Bytes(), []byte("Ready to accept connections")) {
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

// tail returns the last lines of the output. A cluster of six has much to say, and
// why a test has failed must not drown in it.
func (l *serverLog) tail(lines int) string {
	all := strings.SplitAfter(l.String(), "\n")
	return strings.Join(all[max(0, len(all)-1-lines):], "")
}

func (l *serverLog) portTaken() bool {
	return strings.Contains(l.String(), "Address already in use")
}

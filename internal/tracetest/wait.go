// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"strings"
	"testing"
	"time"
)

const (
	// Patience is how long a test waits for an event before it fails.
	Patience = 10 * time.Second
	// Promptly is how long a call may take that returns within 100 ms by the design. The
	// rest is for machines that are busy with other work.
	Promptly = time.Second
)

// Eventually waits until holds returns true. It polls, and is for facts that no event
// announces; what describes the fact in a failure message.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	EventuallyWithin(t, Patience, what, holds)
}

// EventuallyWithin is Eventually with another limit than Patience.
func EventuallyWithin(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	late := time.After(limit)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%v later it still does not hold: %s", limit, what)
		}
	}
}

// ReturnsPromptly runs call and fails the test if it takes longer than Promptly.
func ReturnsPromptly(t *testing.T, what string, call func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	select {
	case <-done:
	case <-time.After(Promptly):
		t.Fatalf("%s: not after %v\n%s", what, Promptly, strings.Join(LibraryGoroutines(), "\n\n"))
	}
}

// LetTimePass returns after d. It is for a fault or a pause that has to last: a test
// that waits for an event waits for the event.
func LetTimePass(d time.Duration) { <-time.After(d) }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// The leaked function is asked itself: to ask Main, a whole test binary would
// have to leak.
func TestLeaked(t *testing.T) {
	before := goroutines()
	release := make(chan struct{})
	go stayUntil(release)

	stacks := leaked(before, 50*time.Millisecond)
	if len(stacks) != 1 || !strings.Contains(stacks[0], "redistest.stayUntil") {
		t.Errorf("leaked with a goroutine left = %d stacks, want that of stayUntil only:\n%s",
			len(stacks), strings.Join(stacks, "\n\n"))
	}

	close(release)
	if stacks := leaked(before, leakTimeout); stacks != nil {
		t.Errorf("leaked after the goroutine was released = %d stacks, want none:\n%s",
			len(stacks), strings.Join(stacks, "\n\n"))
	}
}

func TestLeakedSeesAnUnclosedSubscription(t *testing.T) {
	client := Start(t).Client()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	before := goroutines()
	sub := client.Subscribe(t.Context(), "reports")
	sub.Channel()

	stacks := leaked(before, 50*time.Millisecond)
	if !strings.Contains(strings.Join(stacks, "\n"), "go-redis") {
		t.Errorf("leaked with an open subscription = %q, want goroutines of go-redis", stacks)
	}

	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	if stacks := leaked(before, leakTimeout); stacks != nil {
		t.Errorf("leaked after Close:\n%s", strings.Join(stacks, "\n\n"))
	}
}

func stayUntil(release <-chan struct{}) { <-release }

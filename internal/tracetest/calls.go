// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"maps"
	"sync"
	"testing"
)

// CallCounter counts the calls of the functions that options are given. It is safe for
// concurrent use.
type CallCounter struct {
	mu    sync.Mutex
	calls map[string]int // by the name of the option
}

// Count counts a call of the function that the named option was given.
func (c *CallCounter) Count(option string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = make(map[string]int)
	}
	c.calls[option]++
}

// Take returns the calls since the last Take.
func (c *CallCounter) Take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

// Assert asserts what Take returns; when says what was done meanwhile.
func (c *CallCounter) Assert(t *testing.T, when string, want map[string]int) {
	t.Helper()
	if got := c.Take(); !maps.Equal(got, want) {
		t.Errorf("%s the functions were called %v, want %v", when, got, want)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
)

// What drops an entry also drops a value that is being read from the store: it may be the old
// one.
func TestInvalidationDuringLoad(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		meanwhile    func(c *Cache)
		then         string // the value afterwards
	}{
		{"invalidated", "this key has changed", func(c *Cache) { c.Invalidate("key") }, "new"},
		{"another key", "this one has not changed", func(c *Cache) { c.Invalidate("another") }, "old"},
		{"message", "the same, as a message tells it", func(c *Cache) { _ = c.handle(t.Context(), &tracedpubsub.Message{Payload: "key"}) }, "new"},
		{"skipped", "this key may have changed", func(c *Cache) { _ = c.handle(t.Context(), &tracedpubsub.Message{Payload: "another", Skipped: 1}) }, "new"},
		{"recovered", "this key may have changed", func(c *Cache) { c.report(&tracedpubsub.SubscriptionError{Recovered: true, Err: errors.New("lost")}) }, "new"},
		{"not recovered", "what is missed is dropped when it is over", func(c *Cache) { c.report(&tracedpubsub.SubscriptionError{Err: errors.New("lost")}) }, "old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			value, loads := "old", 0
			var c *Cache
			c = NewCache(func(context.Context, string) (string, error) {
				read := value
				if loads++; loads == 1 { // it has read the old value, and is slow to return it
					value = "new"
					tt.meanwhile(c)
				}
				return read, nil
			})
			for i, want := range []string{"old", tt.then, tt.then} {
				if got, err := c.Get(t.Context(), "key"); err != nil || got != want {
					t.Errorf("value %d is %q, %v; want %q: %s", i, got, err, want, tt.reason)
				}
			}
			if want := map[string]int{"old": 1, "new": 2}[tt.then]; loads != want {
				t.Errorf("the store was read %d times, want %d", loads, want)
			}
		})
	}
}

// An error is returned, and not kept.
func TestLoadFails(t *testing.T) {
	failure := errors.New("no connection")
	failing := true
	c := NewCache(func(context.Context, string) (string, error) {
		if failing {
			return "", failure
		}
		return "value", nil
	})
	if _, err := c.Get(t.Context(), "key"); !errors.Is(err, failure) {
		t.Errorf("error is %v, want %v", err, failure)
	}
	if len(c.entries) != 0 {
		t.Errorf("%d entries are kept, want none", len(c.entries))
	}
	failing = false
	if got, err := c.Get(t.Context(), "key"); err != nil || got != "value" {
		t.Errorf("value is %q, %v", got, err)
	}
}

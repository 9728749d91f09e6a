// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// The Observer is told that a topic was removed when the server has confirmed it, or at once
// while there is no connection. A topic that is resubscribed after an outage is not removed.
func TestRemoved(t *testing.T) {
	s := new(server)
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a", "b", "c")
		remove := func(name string) {
			t.Helper()
			if err := sub.Unsubscribe(t.Context(), subscription.Channels, name); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		s.cut()
		pass(2 * time.Second)
		remove("a")
		s.set(&s.down, true)
		s.cut()
		pass(2 * time.Second)
		remove("b")
		s.set(&s.down, false)
		pass(2 * time.Second)
		remove("unknown")
		if got, want := l.namesRemoved(), []string{"a", "b"}; !slices.Equal(got, want) {
			t.Errorf("removed were %q, want %q", got, want)
		}
	})
}

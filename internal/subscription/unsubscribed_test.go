// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"testing"
	"testing/synctest"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// Valkey 8.0 refuses to unsubscribe a connection that has no topics. That is no failure, because
// it is what was asked for.
func TestUnsubscribeOnAConnectionWithoutTopics(t *testing.T) {
	s := &server{refuse: func(command []string) string {
		if command[0] == "unsubscribe" {
			return "NOSUB 'unsubscribe' command executed not in subscribed mode"
		}
		return ""
	}}
	onServer(t, s, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		if err := sub.Unsubscribe(t.Context(), subscription.Channels, "a"); err != nil {
			t.Errorf("Unsubscribe: %v", err)
		}
		synctest.Wait()
		mustSubscribe(t, sub, subscription.Channels, "b")
		if err := sub.Drain(t.Context()); err != nil {
			t.Errorf("Drain: %v", err)
		}
		if reports := l.take(); len(reports) > 0 {
			t.Errorf("reported was %v, want nothing", reports)
		}
	})
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"fmt"
	"strings"
	"testing"
)

// With accounting, each message has a number of its own, those for receiving as well.
func TestAccountingNumbersMessages(t *testing.T) {
	e, _ := newTestEnv(t)
	s := Setting{Kind: Text, Size: Small, Sampling: Sampled, Channels: 1}
	for _, r := range receivers {
		if r.name != LibraryAccounting {
			continue
		}
		publish, closePublisher, err := r.publisher(e, s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = closePublisher() })
		next := listen(t, e, "publish:0")
		if err := publish([]string{"publish:0", "publish:0", "publish:0"}); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if message, want := next(), fmt.Sprintf(`,"seq":%d,`, i+1); !strings.Contains(message, want) {
				t.Errorf("message %d is %s, want %s in it", i, message, want)
			}
		}
		return
	}
	t.Errorf("there is no receiver %q", LibraryAccounting)
}

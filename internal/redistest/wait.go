// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"testing"
	"time"
)

// waitTimeout is how long a cluster may take to agree, and a client to connect:
// far more than they need, for a machine that is busy with other tests.
const waitTimeout = 30 * time.Second

// waitFor asks check again and again until it returns nil. After waitTimeout it
// fails the test with what check said last. It is for conditions that nothing
// reports. The context that check gets ends with the wait, and outlives the test
// it is called from, so that a clean-up may wait as well.
func waitFor(t testing.TB, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if last == nil || ctx.Err() == nil { // that the time is up says nothing
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v: %v", what, waitTimeout, last)
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"testing"
	"time"
)

// waitTimeout is how long a cluster may take to agree, and a client to connect. That is far
// more than they need, because the machine may be busy with other tests.
const waitTimeout = 30 * time.Second

// waitFor calls check repeatedly until it returns nil. After waitTimeout it fails the test
// with the last error. It is for conditions without an event to wait for. The context is
// canceled when waitFor returns, and not when the test ends, so that a clean-up may wait, too.
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
		if last == nil || ctx.Err() == nil { // the error of the timeout would say nothing
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v: %v", what, waitTimeout, last)
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// Tests that assert that no goroutine is left pass in vain if LibraryGoroutines misses
// those of a package.
func TestIsLibrary(t *testing.T) {
	for _, tt := range []struct {
		name, creator string
		want          bool
	}{
		{"root package", "github.com/tracedpubsub/tracedpubsub.(*PubSub).read", true},
		{"function of a function", "github.com/tracedpubsub/tracedpubsub.Wrap.func1", true},
		{"internal package", "github.com/tracedpubsub/tracedpubsub/internal/subscription.(*Topics).run", true},
		{"external test", "github.com/tracedpubsub/tracedpubsub_test.TestClose", false},
		{"external test of an internal package", "github.com/tracedpubsub/tracedpubsub/internal/subscription_test.TestClose", false},
		{"test package", "github.com/tracedpubsub/tracedpubsub/test/subscription.TestClose", false},
		{"this package", "github.com/tracedpubsub/tracedpubsub/internal/tracetest.EndingOf", false},
		{"servers of tests", "github.com/tracedpubsub/tracedpubsub/internal/redistest.(*Proxy).accept", false},
		{"another module", "github.com/redis/go-redis/v9.NewClient", false},
		{"standard library", "net/http.(*Server).Serve", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stack := "goroutine 7 [select]:\nmain.wait()\n\t/wait.go:7 +0x1\ncreated by " + tt.creator + " in goroutine 1\n\t/start.go:7 +0x1"
			if got := isLibrary(stack); got != tt.want {
				t.Errorf("isLibrary is %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLibraryGoroutines(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	sub := tracedpubsub.Subscribe(Context(t), rdb, "reports")
	WaitReady(t, sub)
	if len(LibraryGoroutines()) == 0 {
		t.Error("an open subscription has no goroutine")
	}
	_ = sub.Close()
	WaitForNoGoroutines(t)
}

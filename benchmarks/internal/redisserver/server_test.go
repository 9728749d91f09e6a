// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisserver

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// TestMain fails the run if a test leaves a goroutine behind.
func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

func TestStopLeavesNothing(t *testing.T) {
	redistest.Start(t) // skips the test where there is none
	s, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1})
	defer rdb.Close()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Errorf("ping: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Ping(t.Context()).Err(); err == nil {
		t.Error("it answers after Stop")
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("its folder is there after Stop: %v", err)
	}
}

func TestClusterServesAllSlots(t *testing.T) {
	redistest.Start(t) // skips the test where there is none
	c, err := StartCluster(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()})
	defer rdb.Close()
	for _, channel := range []string{"a", "b", "c", "d"} { // on all three
		if err := rdb.SPublish(t.Context(), channel, "hello").Err(); err != nil {
			t.Errorf("publish on %s: %v", channel, err)
		}
	}
}

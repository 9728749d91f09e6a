// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestPing(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		for _, tt := range []struct {
			name, reason string
			payload      []string
			read         bool
		}{
			{"plain", "the answer is no message", nil, true},
			{"with a payload", "it comes back, and is no message either", []string{"are you there"}, true},
			{"before anybody reads", "the connection is there already", nil, false},
		} {
			t.Run(fmt.Sprintf("RESP%d/%s", protocol, tt.name), func(t *testing.T) {
				server, rdb := startServer(t)
				s := subjectOf(t, &redis.Options{Addr: server.Addr(), Protocol: protocol})
				sub := s.subscribe(t, "a")
				if tt.read {
					mustBeReady(t, sub)
				}
				if err := sub.Ping(t.Context(), tt.payload...); err != nil {
					t.Fatalf("%s: %v", tt.reason, err)
				}
				eventuallyHolds(t, "the server got it", func() bool {
					return strings.Contains(rdb.ClientList(t.Context()).Val(), "cmd=ping")
				})
				publishRaw(t, rdb, "a", "after it")
				assertReceives(t, sub, "after it")
				if err := sub.Unsubscribe(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := sub.Ping(t.Context(), tt.payload...); err != nil { // is answered in another way now
					t.Fatal(err)
				}
				if err := sub.Subscribe(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				mustBeReady(t, sub)
				if reports := s.reports.all(); len(reports) > 0 {
					t.Errorf("nothing went wrong, but reported was %v", printed(reports))
				}
			})
		}
	}
}

func TestPingWithoutAConnection(t *testing.T) {
	server, _ := startServer(t)
	server.Kill()
	sub := newSubject(t, server.Addr()).subscribe(t, "a")
	if err := sub.Ping(t.Context()); err == nil {
		t.Error("Ping of a server that is gone: no error")
	} else if errors.Is(err, redis.ErrClosed) {
		t.Errorf("Ping of a server that is gone: %v, but the subscription is not closed", err)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestPing(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		for _, tt := range []struct {
			name, reason string
			payload      []string
			read         bool
		}{
			{"plain", "the reply is not a message", nil, true},
			{"with a payload", "it is in the reply, which is not a message either", []string{"are you there"}, true},
			{"before anybody reads", "there is a connection already", nil, false},
		} {
			t.Run(fmt.Sprintf("RESP%d/%s", protocol, tt.name), func(t *testing.T) {
				server, rdb := tracetest.StartServer(t)
				s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: protocol})
				sub := s.Subscription(t, "a")
				if tt.read {
					tracetest.WaitReady(t, sub)
				}
				if err := sub.Ping(t.Context(), tt.payload...); err != nil {
					t.Fatalf("%s: %v", tt.reason, err)
				}
				tracetest.Eventually(t, "the server got it", func() bool {
					return strings.Contains(rdb.ClientList(t.Context()).Val(), "cmd=ping")
				})
				tracetest.PublishRaw(t, rdb, "a", "after it")
				tracetest.AssertReceives(t, sub, "after it")
				if err := sub.Unsubscribe(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := sub.Ping(t.Context(), tt.payload...); err != nil { // the reply has another form now
					t.Fatal(err)
				}
				if err := sub.Subscribe(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				tracetest.WaitReady(t, sub)
				s.Reports.AssertNone(t)
			})
		}
	}
}

func TestPingWithoutAConnection(t *testing.T) {
	server, _ := tracetest.StartServer(t)
	server.Kill()
	sub := tracetest.NewSubject(t, server.Addr()).Subscription(t, "a")
	if err := sub.Ping(t.Context()); err == nil {
		t.Error("Ping of a server that is gone: no error")
	} else if errors.Is(err, redis.ErrClosed) {
		t.Errorf("Ping of a server that is gone: %v, but the subscription is not closed", err)
	}
}

// WithHealthCheckInterval says when a quiet subscription sends a PING, and if it does.
func TestHealthCheckInterval(t *testing.T) {
	t.Parallel()
	server, admin := tracetest.StartServer(t)
	quiet := func(name string, interval time.Duration) {
		rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), ClientName: name})
		t.Cleanup(func() { _ = rdb.Close() })
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithHealthCheckInterval(interval))
		sub := tracetest.ReadySub(t, client.Subscribe(tracetest.Context(t), "a"))
		_ = sub.Channel() // it is read
	}
	quiet("never", 0)
	quiet("often", time.Second)
	last := func(name string) string { // the last command of the client
		for line := range strings.Lines(admin.ClientList(t.Context()).Val()) {
			if strings.Contains(line, " name="+name+" ") {
				_, cmd, _ := strings.Cut(line, " cmd=")
				cmd, _, _ = strings.Cut(cmd, " ")
				return cmd
			}
		}
		return ""
	}
	tracetest.Eventually(t, "a PING is sent", func() bool { return last("often") == "ping" })
	if got := last("never"); got != "subscribe" {
		t.Errorf("the last command without PINGs is %q", got)
	}
}

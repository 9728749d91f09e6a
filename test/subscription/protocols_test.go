// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// invalidations is the channel of what client-side caching invalidates, with RESP2. With
// RESP3 the server pushes it to any connection.
const invalidations = "__redis__:invalidate"

// Every kind of subscription works with both protocols of the server.
func TestProtocols(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	for _, protocol := range []int{2, 3} {
		for _, way := range tracetest.WaysToSubscribe {
			t.Run(fmt.Sprintf("RESP%d/%s", protocol, way.Name), func(t *testing.T) {
				ctx, channel := tracetest.Context(t), "reports.7"
				s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: protocol})
				sub := tracetest.ReadySub(t, way.Subscribe(s.Client, ctx, way.Topic(channel)))
				if got := subscriberFields(t, rdb); got["resp"] != strconv.Itoa(protocol) {
					t.Errorf("the connection has RESP%s, want RESP%d: %s", got["resp"], protocol, way.Reason)
				}
				if n, err := way.Publish(s.Client, ctx, channel, "hello").Result(); n != 1 || err != nil {
					t.Fatalf("%s returned %d, %v, want 1", way.Operation, n, err)
				}
				for _, m := range sub.Messages(ctx) {
					tracetest.AssertMessage(t, m, way, channel)
					break
				}
				spans := s.Spans.Spans(t, 2)
				tracetest.AssertParent(t, spans[1], spans[0])
				if err := sub.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				s.Reports.AssertNone(t)
			})
		}
	}
}

// A server sends more to a subscription than messages. It does not end the subscription.
func TestInvalidationsOnASubscription(t *testing.T) {
	for _, tt := range []struct {
		protocol int
		reason   string
		channels []string
		receives bool
	}{
		{2, "an invalidation is a message whose payload is an array", []string{"a", invalidations}, true},
		{3, "an invalidation is a push of a kind of its own", []string{"a"}, false},
	} {
		t.Run(fmt.Sprintf("RESP%d", tt.protocol), func(t *testing.T) {
			ctx := tracetest.Context(t)
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: tt.protocol})
			sub := s.ReadySubscription(t, tt.channels...)
			track(t, ctx, rdb, subscriberFields(t, rdb)["id"])
			if err := rdb.Set(ctx, "key", "value", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if tt.receives {
				m := tracetest.NextMessage(t, sub)
				if m.Channel != invalidations || !slices.Equal(m.PayloadSlice, []string{"key"}) || m.Err != nil {
					t.Errorf("received %+v, want the invalidation of key: %s", m, tt.reason)
				}
			}
			tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "a", "hello"))
			tracetest.AssertReceives(t, sub, "hello")
			if reports := s.Reports.All(); len(reports) > 0 {
				t.Errorf("reported was %v, want nothing: %s", tracetest.Texts(reports), tt.reason)
			}
		})
	}
}

// track makes the server send invalidations of all keys to the connection with the given id.
func track(t *testing.T, ctx context.Context, rdb *redis.Client, id string) {
	t.Helper()
	conn := rdb.Conn() // tracking ends with the connection that has asked for it
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.Do(ctx, "client", "tracking", "on", "redirect", id, "bcast").Err(); err != nil {
		t.Fatalf("CLIENT TRACKING: %v", err)
	}
}

// subscriberFields returns what CLIENT LIST says about the only subscription.
func subscriberFields(t *testing.T, rdb *redis.Client) map[string]string {
	t.Helper()
	list, err := rdb.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatalf("CLIENT LIST: %v", err)
	}
	var found []map[string]string
	for line := range strings.Lines(list) {
		if fields := clientFields(line); isSubscriber(fields) {
			found = append(found, fields)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d connections are subscribed, want 1:\n%s", len(found), list)
	}
	return found[0]
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// oddReplies are replies that no Redis sends between messages.
var oddReplies = []struct {
	name, reason, reply string
	resp3               bool
}{
	{"a number where the kind is", "go-redis panics", "*1\r\n:1\r\n", false},
	{"an empty array", "go-redis panics: there is no kind", "*0\r\n", false},
	{"a nil array", "neither a reply nor an error of the server", "*-1\r\n", false},
	{"a nil string", "neither a reply nor an error of the server", "$-1\r\n", false},
	{"a number", "it is not a push", ":1\r\n", false},
	{"a message of a number", "go-redis knows no such payload", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n", false},
	{"a message of an array of numbers", "go-redis panics", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n*1\r\n:1\r\n", false},
	{"a message without a payload", "go-redis panics", "*2\r\n$7\r\nmessage\r\n$1\r\na\r\n", false},
	{"a message on a number", "go-redis panics", "*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n", false},
	{"a short pattern message", "go-redis panics", "*3\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\na\r\n", false},
	{"a count that is a string", "go-redis panics", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n$1\r\n1\r\n", false},
	{"a confirmation without a count", "go-redis panics", "*2\r\n$9\r\nsubscribe\r\n$1\r\na\r\n", false},
	{"a pong of a number", "go-redis panics", "*2\r\n$4\r\npong\r\n:1\r\n", false},
	{"an unrequested confirmation", "the confirmations that follow cannot be assigned any more", "*3\r\n$9\r\nsubscribe\r\n$1\r\nz\r\n:2\r\n", false},
	{"the end of a subscription", "it was not requested, and Redis will not send messages any more", "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n", false},
	{"an unknown kind", "go-redis refuses it", "*2\r\n$7\r\nunknown\r\n$1\r\na\r\n", false},
	{"an unrequested error", "no command was wrong", "-ERR out of the blue\r\n", false},
	{"a failover", "go-redis closes the connection by itself", "-READONLY You can't write against a read only replica.\r\n", false},
	{"no protocol at all", "another server listens on the port", "HTTP/1.1 400 Bad Request\r\n\r\n", false},
	{"half a reply", "the connection ends behind it", "*3\r\n$7\r\nmess", false},
	{"a map", "in RESP3 there are more kinds of replies", "%1\r\n+a\r\n:1\r\n", true},
	{"a map with keys of arrays", "it cannot be the key of a map in Go", "%1\r\n*1\r\n:1\r\n:1\r\n", true},
	{"a push of a number", "it has no kind", ">1\r\n:1\r\n", true},
	{"an empty push", "nor has it", ">0\r\n", true},
	{"an unknown push", "the protocol says to ignore it", ">2\r\n+unknown\r\n+a\r\n", true},
}

// After an odd reply messages are received again: on the same connection if it is still
// in order, and otherwise on another one.
func TestOddReplies(t *testing.T) {
	t.Parallel()
	for _, when := range []struct {
		name, reason string
		confirm      bool
	}{
		{"between messages", "the subscription was ready until then", true},
		{"instead of a confirmation", "the subscription was never ready", false},
	} {
		for _, tt := range oddReplies {
			if tt.resp3 && !when.confirm {
				continue // go-redis ignores most of them and waits for the confirmation, as it should
			}
			t.Run(when.name+"/"+tt.name, func(t *testing.T) {
				var subscribed atomic.Bool
				fake := tracetest.StartFakeRedis(t, func(c *tracetest.FakeConn, command []string) {
					switch {
					case command[0] != "subscribe":
						c.Answer(command)
						return
					case subscribed.Swap(true):
						c.Answer(command)
						c.Message("a", "in order")
						return
					case when.confirm:
						c.Answer(command)
					}
					c.Send(tt.reply)
					switch {
					case tt.name == "half a reply":
						_ = c.Close()
					case tt.resp3:
						c.Message("a", "in order") // for replies that are ignored
					}
				})
				protocol := 2
				if tt.resp3 {
					protocol = 3
				}
				s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: fake.Addr(), Protocol: protocol})
				sub := s.Subscription(t, "a")
				tracetest.AssertReceives(t, sub, "in order")
				if tt.resp3 && fake.Connections() == 1 {
					return
				}
				got := s.Reports.WaitUntil(t, tt.name+": "+tt.reason+"; "+when.reason, func(got []tracetest.Report) bool { return len(got) > 0 })
				if !slices.Equal(got[0].Channels, []string{"a"}) || got[0].Err == nil {
					t.Errorf("reported was %v, want a cause and the channel", tracetest.Texts(got))
				}
			})
		}
	}
}

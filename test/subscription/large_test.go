// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestLargeMessages(t *testing.T) {
	redistest.Long(t)
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			server, _ := tracetest.StartServer(t, tracetest.Unlimited...)
			s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: protocol})
			sub := s.ReadySubscription(t, "a")
			large := strings.Repeat(strings.Repeat("large ", 20)+"\"\n", 8<<20/122)
			for _, payload := range []string{large, "small", large} {
				if err := s.Publish(t.Context(), "a", payload).Err(); err != nil {
					t.Fatal(err)
				}
			}
			tracetest.AssertReceives(t, sub, large, "small", large)
			s.Reports.AssertNone(t)
		})
	}
}

func TestLargestMessage(t *testing.T) {
	redistest.Long(t)
	const size = 64 << 20
	server, _ := tracetest.StartServer(t, tracetest.Unlimited...)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	large := strings.Repeat("0123456789abcdef", size/16)
	tracetest.AssertSent(t, s.Publish(t.Context(), "a", large))
	tracetest.AssertSent(t, s.Publish(t.Context(), "a", "small"))
	if m := tracetest.NextMessage(t, sub); m.Payload != large || m.Err != nil {
		t.Errorf("got %d bytes, %v, want the %d that were published", len(m.Payload), m.Err, size)
	}
	tracetest.AssertReceives(t, sub, "small")
	s.Reports.AssertNone(t)
}

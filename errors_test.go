// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A failure to connect comes from Ready if something waits there, and goes to the error
// handler otherwise.
func TestADeadAddress(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		failure      func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error
	}{
		{"Ready", "the caller gets the failure", func(t *testing.T, _ *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			return sub.Ready(tracetest.Context(t))
		}},
		{"Ready while others read", "no matter what made it begin to read", func(t *testing.T, _ *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			return sub.Ready(tracetest.Context(t))
		}},
		{"error handler", "nobody called Ready", func(t *testing.T, s *tracetest.Subject, sub *tracedpubsub.PubSub) error {
			_ = sub.Channel()
			return s.Reports.WaitFor(t, "connect", "a").SubscriptionError
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			server.Kill()
			s := tracetest.NewSubject(t, server.Addr())
			sub := s.Subscription(t, "a")
			err := tt.failure(t, s, sub)
			e, ok := tracetest.As[*tracedpubsub.SubscriptionError](err)
			if !ok || e.Op != "connect" || !slices.Equal(e.Channels, []string{"a"}) || e.Count != 1 {
				t.Errorf("%s: %#v, want a SubscriptionError about a", tt.reason, err)
			}
			if _, ok := tracetest.As[*net.OpError](err); !ok || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%v does not wrap its cause", err)
			}
			server.Restart()
			tracetest.WaitForSubscribers(t, rdb, "a", 1)
			tracetest.PublishRaw(t, rdb, "a", "at last")
			tracetest.AssertReceives(t, sub, "at last")
		})
	}
}

// Failures that repeat are counted, and reported at most once a second.
func TestRepeatsAreCounted(t *testing.T) {
	server, _ := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	s.ReadySubscription(t, "a")
	server.Kill()
	got := s.Reports.WaitUntil(t, "the third report of failed attempts", func(got []tracetest.Report) bool { return len(got) >= 3 })
	total := 0
	for i, e := range got[:3] {
		total += e.Count
		if e.Op != "connect" || !errors.Is(e, syscall.ECONNREFUSED) {
			t.Errorf("report %d is %v, want a connection refused", i, e.Error())
		}
		if i > 0 && e.At.Sub(got[i-1].At) < 900*time.Millisecond {
			t.Errorf("report %d came %v after the previous one", i, e.At.Sub(got[i-1].At))
		}
		if i > 0 && e.Downtime <= got[i-1].Downtime {
			t.Errorf("report %d has the downtime %v, the previous one had %v", i, e.Downtime, got[i-1].Downtime)
		}
	}
	if got[0].Count != 1 || got[1].Count < 2 {
		t.Errorf("counts are %d and %d, want 1 for the first and the rest of its second for the next", got[0].Count, got[1].Count)
	}
	// The intervals are 10, 20, 40, … ms, with jitter.
	if total < 4 || total > 20 {
		t.Errorf("%d attempts in two seconds", total)
	}
}

// Names are bytes of other programs, and texts go to logs and terminals.
func TestTextsQuoteAndCutNames(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name, reason, channel, want string
	}{
		{"plain", "most names", "reports", `"reports"`},
		{"newline", "it would begin another line of the log", "a\nERROR all is lost", `"a\nERROR all is lost"`},
		{"escape", "a terminal would obey it", "\x1b[2J", `"\x1b[2J"`},
		{"NUL", "some programs stop there", "a\x00b", `"a\x00b"`},
		{"not UTF-8", "names are bytes", "a\xff", `"a\xff"`},
		{"long", "each report would have a mebibyte", long, `"` + long[:100] + `…"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := &tracedpubsub.SubscriptionError{Op: tracedpubsub.OpReceive, Channels: []string{tt.channel}, Err: io.EOF}
			if got, want := err.Error(), "tracedpubsub: receive "+tt.want+": EOF"; got != want {
				t.Errorf("Error() = %.200q, want %.200q: %s", got, want, tt.reason)
			}
			want := tt.want
			if tt.name == "plain" {
				want = tt.channel // as redis.Message and redis.PubSub have it
			}
			m := &tracedpubsub.Message{Channel: tt.channel, Payload: "hello"}
			if got, want := m.String(), "Message<"+want+": hello>"; got != want {
				t.Errorf("String() of a Message = %.200q, want %.200q: %s", got, want, tt.reason)
			}
			sub := tracedpubsub.Subscribe(t.Context(), tracetest.UnreachableClient(t), tt.channel)
			defer sub.Close()
			if got, want := sub.String(), "PubSub("+want+")"; got != want {
				t.Errorf("String() of a PubSub = %.200q, want %.200q: %s", got, want, tt.reason)
			}
		})
	}
}

func TestErrorNamesThreeChannels(t *testing.T) {
	err := &tracedpubsub.SubscriptionError{Op: tracedpubsub.OpConnect, Channels: []string{"a", "b", "c", "d", "e"}, Err: io.EOF, Count: 2, Downtime: time.Second}
	if got, want := err.Error(), `tracedpubsub: connect "a", "b", "c" and 2 more: EOF (down for 1s) (2 times)`; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

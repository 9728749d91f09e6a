// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestLargestMessage(t *testing.T) {
	t.Parallel()
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

// Whoever may publish can send anything. An envelope that turns out to be none at
// its very end has cost one reading of it.
func TestLargeEnvelopeWithABrokenEnd(t *testing.T) {
	const size = 1 << 20
	for _, tt := range []struct {
		name, reason    string
		valid, broken   string
		payloadIsCopied bool
	}{
		{"text, cut", "the last byte is missing", `{"tracedpubsub":1,"payload":"` + strings.Repeat("x", size) + `"}`, "", false},
		{"escapes, cut", "each is to be taken apart", `{"tracedpubsub":1,"payload":"` + strings.Repeat(`\n`, size/2) + `"}`, "", true},
		{"a lone surrogate", "it stands for no text", `{"tracedpubsub":1,"payload":"` + strings.Repeat(`\ud83d\ude00`, size/12) + `"}`,
			`{"tracedpubsub":1,"payload":"` + strings.Repeat(`\ud83d\ude00`, size/12) + `\ud83d"}`, true},
		{"base64, a byte too many", "it is decoded from the front", `{"tracedpubsub":1,"payload_base64":"` + strings.Repeat("AAAA", size/4) + `"}`,
			`{"tracedpubsub":1,"payload_base64":"` + strings.Repeat("AAAA", size/4) + `A"}`, true},
		{"nested", "each level may be open", `{"tracedpubsub":1,"payload":` + strings.Repeat(`[`, size/2) + strings.Repeat(`]`, size/2) + `}`,
			`{"tracedpubsub":1,"payload":` + strings.Repeat(`[`, size/2) + strings.Repeat(`]`, size/2-1) + `}`, false},
		{"many members", "each may be a carrier's", `{"tracedpubsub":1` + strings.Repeat(`,"traceparen":"x"`, size/17) + `,"payload":""}`, "", false},
		{"a size that is wrong", "the payload is looked for in another way", `{"tracedpubsub":1,"size":` + "1048578" + `,"payload":"` + strings.Repeat("x", size) + `"}`,
			`{"tracedpubsub":1,"size":` + "1048577" + `,"payload":"` + strings.Repeat("x", size) + `"`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.broken == "" {
				tt.broken = tt.valid[:len(tt.valid)-1]
			}
			if _, err := tracedpubsub.Decode(tt.valid); err != nil {
				t.Fatalf("the valid one: %v", err)
			}
			e, err := tracedpubsub.Decode(tt.broken)
			if err == nil || e.Payload != tt.broken {
				t.Fatalf("the broken one: %d bytes, %v; want all of it, and an error", len(e.Payload), err)
			}
			valid, _ := costOf(tt.valid)
			broken, allocated := costOf(tt.broken)
			// Another try would be twice as much; each from its own start, thousands of times.
			if broken > 10*valid+10*time.Millisecond {
				t.Errorf("%s: %v, the valid one takes %v", tt.reason, broken, valid)
			}
			most := uint64(size / 2) // for the levels of what is nested
			if tt.payloadIsCopied {
				most += 2 * size
			}
			if allocated > most {
				t.Errorf("%s: allocates %d bytes, want at most %d", tt.reason, allocated, most)
			}
		})
	}
}

// costOf is what decoding costs, at best.
func costOf(message string) (took time.Duration, allocated uint64) {
	took = time.Hour
	var before, after runtime.MemStats
	for range 3 {
		runtime.ReadMemStats(&before)
		began := time.Now()
		_, _ = tracedpubsub.Decode(message)
		took = min(took, time.Since(began))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; allocated == 0 || n < allocated {
			allocated = n
		}
	}
	return took, allocated
}

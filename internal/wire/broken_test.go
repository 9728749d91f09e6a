// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// A message that is malformed at its very end costs little more than a valid one, since
// it is read once.
func TestLargeEnvelopeWithABrokenEnd(t *testing.T) {
	const size = 1 << 20
	for _, tt := range []struct {
		name, reason    string
		valid, broken   string
		payloadIsCopied bool
	}{
		{"text, cut", "the last byte is missing", `{"tracedpubsub":1,"payload":"` + strings.Repeat("x", size) + `"}`, "", false},
		{"escapes, cut", "each is decoded", `{"tracedpubsub":1,"payload":"` + strings.Repeat(`\n`, size/2) + `"}`, "", true},
		{"a lone surrogate", "it stands for no text", `{"tracedpubsub":1,"payload":"` + strings.Repeat(`\ud83d\ude00`, size/12) + `"}`,
			`{"tracedpubsub":1,"payload":"` + strings.Repeat(`\ud83d\ude00`, size/12) + `\ud83d"}`, true},
		{"base64, a byte too many", "decoding begins at the front", `{"tracedpubsub":1,"payload_base64":"` + strings.Repeat("AAAA", size/4) + `"}`,
			`{"tracedpubsub":1,"payload_base64":"` + strings.Repeat("AAAA", size/4) + `A"}`, true},
		{"nested", "each level may be open", `{"tracedpubsub":1,"payload":` + strings.Repeat(`[`, size/2) + strings.Repeat(`]`, size/2) + `}`,
			`{"tracedpubsub":1,"payload":` + strings.Repeat(`[`, size/2) + strings.Repeat(`]`, size/2-1) + `}`, false},
		{"many members", "each may be a field of the carrier", `{"tracedpubsub":1` + strings.Repeat(`,"traceparen":"x"`, size/17) + `,"payload":""}`, "", false},
		{"a size that is wrong", "the payload is found in another way", `{"tracedpubsub":1,"size":` + "1048578" + `,"payload":"` + strings.Repeat("x", size) + `"}`,
			`{"tracedpubsub":1,"size":` + "1048577" + `,"payload":"` + strings.Repeat("x", size) + `"`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.broken == "" {
				tt.broken = tt.valid[:len(tt.valid)-1]
			}
			if _, _, err := decode(tt.valid, w3c); err != nil {
				t.Fatalf("the valid message: %v", err)
			}
			payload, _, err := decode(tt.broken, w3c)
			if err == nil || payload != tt.broken {
				t.Fatalf("the broken message: %d bytes, %v; want all of it, and an error", len(payload), err)
			}
			valid, _ := costOf(tt.valid)
			broken, allocated := costOf(tt.broken)
			// Reading it twice would take twice as long, and again for each member much longer.
			if broken > 10*valid+10*time.Millisecond {
				t.Errorf("%s: %v, the valid message takes %v", tt.reason, broken, valid)
			}
			most := uint64(size / 2) // for the levels of nesting
			if tt.payloadIsCopied {
				most += 2 * size
			}
			if allocated > most {
				t.Errorf("%s: allocates %d bytes, want at most %d", tt.reason, allocated, most)
			}
		})
	}
}

// leastTime returns the least time of several calls of f.
func leastTime(f func()) time.Duration {
	least := time.Hour
	for range 10 {
		began := time.Now()
		f()
		least = min(least, time.Since(began))
	}
	return least
}

// costOf returns the least time and memory of several calls of Decode.
func costOf(message string) (took time.Duration, allocated uint64) {
	took = time.Hour
	var before, after runtime.MemStats
	for range 3 {
		var f wire.Fields
		runtime.ReadMemStats(&before)
		began := time.Now()
		_, _ = wire.Decode(message, w3c, &f, nil)
		took = min(took, time.Since(began))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; allocated == 0 || n < allocated {
			allocated = n
		}
	}
	return took, allocated
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
)

// Decode reads the fields of the propagator, and no others.
func TestDecodeLooksForFieldsOfPropagator(t *testing.T) {
	const message = `{"tracedpubsub":1,"traceparent":"` + exampleParent + `","b3":"1","z":"last","payload":"hi"}`
	for _, tt := range []struct {
		name, reason string
		fields       fieldsPropagator
		want         map[string]string
	}{
		{"some", "only these fields are read", fieldsPropagator{"b3"}, map[string]string{"b3": "1"}},
		{"none", "a propagator may have none", fieldsPropagator{}, nil},
		{"reserved", "a member of the envelope is never a field", fieldsPropagator{"payload", "b3"}, map[string]string{"b3": "1"}},
		{"repeated", "composites may name a field twice", fieldsPropagator{"b3", "b3"}, map[string]string{"b3": "1"}},
		{"many", "their number has no limit", append(manyNames(20), "z", "traceparent"), map[string]string{"z": "last", "traceparent": exampleParent}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tracedpubsub.Decode(message, tracedpubsub.WithPropagators(tt.fields))
			if got := fieldsIn(&e.Carrier); err != nil || e.Payload != "hi" || !maps.Equal(got, tt.want) {
				t.Errorf("%s: got %q with %q, %v, want %q", tt.reason, e.Payload, got, err, tt.want)
			}
		})
	}
}

func manyNames(n int) (names fieldsPropagator) {
	for i := range n {
		names = append(names, fmt.Sprintf("field-%d", i))
	}
	return names
}

// Decode reads what a writer in one line of another language writes.
func TestOtherWriter(t *testing.T) {
	message, err := json.Marshal(map[string]any{"tracedpubsub": 1, "traceparent": exampleParent, "payload": "<žluťoučký>\u2028\x00"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := tracedpubsub.Decode(string(message))
	if err != nil || e.Payload != "<žluťoučký>\u2028\x00" || e.Carrier.Get("traceparent") != exampleParent {
		t.Errorf("%s: got %q with %q, %v", message, e.Payload, fieldsIn(&e.Carrier), err)
	}
}

// A message that turns out to be malformed at its very end costs little more than a
// valid one: it is read once.
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
			if _, err := tracedpubsub.Decode(tt.valid); err != nil {
				t.Fatalf("the valid one: %v", err)
			}
			e, err := tracedpubsub.Decode(tt.broken)
			if err == nil || e.Payload != tt.broken {
				t.Fatalf("the broken one: %d bytes, %v; want all of it, and an error", len(e.Payload), err)
			}
			valid, _ := costOf(tt.valid)
			broken, allocated := costOf(tt.broken)
			// Reading it twice would take twice as long, and again for each member much longer.
			if broken > 10*valid+10*time.Millisecond {
				t.Errorf("%s: %v, the valid one takes %v", tt.reason, broken, valid)
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

// costOf returns the least time and memory of several calls of Decode.
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

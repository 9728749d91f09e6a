// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// The numbers of allocations are exact. The garbage collector is most of what an envelope
// can cost.

func TestAllocationsOfWriting(t *testing.T) {
	w3c := fieldsOf("traceparent", traceparent, "baggage", "tenant=acme")
	b3 := fieldsOf("x-b3-traceid", "1", "x-b3-spanid", "2", "b3", "3")
	ready := make([]byte, 0, 256<<10)
	for _, tt := range []struct {
		name, reason string
		fields       wire.Fields
		payload      string
	}{
		{"text", "the usual message", w3c, "hello"},
		{"escaped text", "escapes are written where they belong", w3c, strings.Repeat("say \"hi\"\n", 1000)},
		{"document", "its brackets are counted on the stack", w3c, strings.Repeat("[", 60) + strings.Repeat("]", 60)},
		{"too deep a document", "it is text", w3c, strings.Repeat("[", 1000) + strings.Repeat("]", 1000)},
		{"binary", "base64 needs no second buffer", w3c, strings.Repeat("\xff\x00", 1000)},
		{"other fields", "they are sorted already", b3, "hello"},
		{"large text", "whatever the size", w3c, strings.Repeat("the quick brown fox ", 3000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(100, func() {
				_, _ = wire.Append(ready, &tt.fields, tt.payload)
			}); got != 0 {
				t.Errorf("%s: %v allocations, want 0", tt.reason, got)
			}
		})
	}
}

func TestAllocationsOfReading(t *testing.T) {
	const start = `{"tracedpubsub":1,"traceparent":"` + traceparent + `"`
	const eleven = `,"k":"1","a":"2","b":"3","c":"4","d":"5","e":"6","f":"7","g":"8","h":"9","i":"10","j":"11"`
	names := []string{"traceparent", "tracestate", "baggage"}
	for _, tt := range []struct {
		name, reason, message string
		names                 []string
		want                  float64
	}{
		{"document by its size", "it is cut out of the message", start + `,"size":7,"payload":{"a":1}}`, names, 0},
		{"document without size", "likewise", start + `,"payload":{"a":[1,{}]}}`, names, 0},
		{"text", "likewise, and so are the fields", start + `,"baggage":"tenant=acme","payload":"hello"}`, names, 0},
		{"accounting", "it is cut out of the message", start + `,"ts":1766000000000000,"src":"q83vEjRWeJA","seq":7,"size":7,"payload":{"a":1}}`, names, 0},
		{"large text", "whatever the size", start + `,"payload":"` + strings.Repeat("the quick brown fox ", 3000) + `"}`, names, 0},
		{"large document", "the traceparent is copied without an allocation", start + `,"size":60002,"payload":[` + strings.Repeat(" ", 60_000) + `]}`, names, 0},
		{"large text with baggage", "one for the baggage, which would keep the message in memory", start + `,"baggage":"tenant=acme","payload":"` + strings.Repeat("x", 60_000) + `"}`, names, 1},
		{"large baggage", "one for the payload, likewise", start + `,"baggage":"` + strings.Repeat("x", 10_000) + `","payload":"hello"}`, names, 1},
		{"not quite so large", "little memory can be saved", start + `,"baggage":"tenant=acme","payload":"` + strings.Repeat("x", 800) + `"}`, names, 0},
		{"escaped text", "one for the text", start + `,"payload":"` + strings.Repeat(`say \"hi\"\n`, 1000) + `"}`, names, 1},
		{"escaped field", "one for the field", start + `,"baggage":"\u0061","payload":"hello"}`, names, 1},
		{"base64", "one for the bytes", start + `,"payload_base64":"//79"}`, names, 1},
		{"other fields", "one for all of them", start + `,"b3":"1","x-b3-traceid":"2","payload":"hello"}`, []string{"traceparent", "b3", "x-b3-traceid"}, 1},
		{"fields that the propagator does not name", "likewise", start + `,"b3":"1","x-b3-traceid":"2","payload":"hello"}`, names, 1},
		{"many fields", "two to find repeated ones, one for all of them", start + eleven + `,"payload":"hello"}`, names, 3},
		{"empty fields", "they are not kept", start + `,"b3":"","x-b3-traceid":"","payload":"hello"}`, names, 0},
		{"malformed with many fields", "nothing is made of it", start + eleven + `,"payload":"hello"`, names, 0},
		{"foreign document of many members", "those of others are passed over", `{"traceparent":"p"` + eleven + `}`, names, 0},
		{"malformed", "nothing is made of it", start + `,"payload":"hello"`, names, 0},
		{"later version", "nothing is made of it", `{"tracedpubsub":2,"traceparent":"p"}`, names, 0},
		{"foreign document", "but its fields are read", `{"data":{"any":[1,2]},"traceparent":"p"}`, names, 0},
		{"foreign text", "not even looked at", "hello", names, 0},
		{"deep", "much deeper than any writer of ours writes", start + `,"payload":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, names, 0},
		{"too large a carrier", "it is not copied to be thrown away", `{"baggage":"` + strings.Repeat(`\u0061`, 20000) + `"}`, names, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f wire.Fields
			var a wire.Accounting
			var payload string
			if got := testing.AllocsPerRun(100, func() {
				f = wire.Fields{}
				payload, _ = wire.Decode(tt.message, tt.names, &f, &a)
			}); got != tt.want {
				t.Errorf("%s: %v allocations, want %v (payload %.50q)", tt.reason, got, tt.want, payload)
			}
		})
	}
}

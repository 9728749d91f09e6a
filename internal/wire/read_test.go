// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// In an envelope, every string member that means nothing else is a field. A propagator may read
// more than it names, as those of B3 and of OpenTracing's baggage do.
func TestDecodeReadsEveryFieldOfAnEnvelope(t *testing.T) {
	const front = `{"tracedpubsub":1,"traceparent":"` + traceparent + `","b3":"1"`
	usual := map[string]string{"traceparent": traceparent, "b3": "1"}
	many := maps.Clone(usual)
	var strangers strings.Builder
	for _, name := range manyNames(20) {
		many[name] = "of " + name
		fmt.Fprintf(&strangers, `,%q:%q`, name, "of "+name)
	}
	for _, tt := range []struct {
		name, reason, message string
		want                  map[string]string
	}{
		{"text", "written by this library", front + `,"payload":"hi"}`, usual},
		{"many", "their number has no limit", front + strangers.String() + `,"payload":"hi"}`, many},
		{"many behind the payload", "by R1, in any order", `{"tracedpubsub":1,"payload":"hi"` + strangers.String() + `,"traceparent":"` + traceparent + `","b3":"1"}`, many},
		{"many in front of the marker", "what it is comes out at the end", `{"payload":"hi"` + strangers.String() + `,"traceparent":"` + traceparent + `","b3":"1","tracedpubsub":1}`, many},
		{"members with a meaning", "they are never fields, whatever they hold", front + `,"size":"1","ts":"2","src":"3","seq":"4","payload":"hi"}`, usual},
		{"other types", "only strings are fields", front + `,"n":1,"o":{"s":"x"},"a":["x"],"z":null,"payload":"hi"}`, usual},
	} {
		for _, names := range [][]string{nil, {}, {"b3", "payload"}, manyNames(3)} {
			payload, fields, err := decode(tt.message, names)
			if err != nil || payload != "hi" || !maps.Equal(fields, tt.want) {
				t.Errorf("%s (%s), names %q: got %q with %q, %v, want %q", tt.name, tt.reason, names, payload, fields, err, tt.want)
			}
		}
		assertReadsLike(t, tt.message)
	}
}

// In any other object, only the named members are fields. The others are somebody else's data.
func TestDecodeReadsNamedFieldsOfOtherObjects(t *testing.T) {
	var strangers strings.Builder
	for _, name := range manyNames(20) {
		fmt.Fprintf(&strangers, `,%q:"of %s"`, name, name)
	}
	message := `{"a":"x","traceparent":"` + traceparent + `","b3":"1"` + strangers.String() + `,"z":"last","payload":"hi"}`
	later := `{"tracedpubsub":2,` + message[1:]
	for _, tt := range []struct {
		name, reason string
		names        []string
		want         map[string]string
	}{
		{"some", "only these fields are read", []string{"b3"}, map[string]string{"b3": "1"}},
		{"none", "a propagator may have none", []string{}, nil},
		{"reserved", "a member of the envelope is never a field", []string{"payload", "b3"}, map[string]string{"b3": "1"}},
		{"repeated", "composites may name a field twice", []string{"b3", "b3"}, map[string]string{"b3": "1"}},
		{"many", "their number has no limit", append(manyNames(12), "z", "traceparent"), map[string]string{
			"z": "last", "traceparent": traceparent, "field-0": "of field-0", "field-1": "of field-1", "field-2": "of field-2", "field-3": "of field-3",
			"field-4": "of field-4", "field-5": "of field-5", "field-6": "of field-6", "field-7": "of field-7", "field-8": "of field-8",
			"field-9": "of field-9", "field-10": "of field-10", "field-11": "of field-11"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			payload, fields, err := decode(message, tt.names)
			if err != nil || payload != message || !maps.Equal(fields, tt.want) {
				t.Errorf("%s: got %q with %q, %v, want %q", tt.reason, payload, fields, err, tt.want)
			}
			payload, fields, err = decode(later, tt.names)
			if !errors.Is(err, wire.ErrUnsupportedVersion) || payload != later || !maps.Equal(fields, tt.want) {
				t.Errorf("%s, in a later version: got %q with %q, %v, want %q", tt.reason, payload, fields, err, tt.want)
			}
		})
	}
}

func manyNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("field-%d", i))
	}
	return names
}

// Decode reads what a writer in one line of another language writes.
func TestOtherWriter(t *testing.T) {
	message, err := json.Marshal(map[string]any{"tracedpubsub": 1, "traceparent": traceparent, "payload": "<žluťoučký>\u2028\x00"})
	if err != nil {
		t.Fatal(err)
	}
	payload, fields, err := decode(string(message), w3c)
	if err != nil || payload != "<žluťoučký>\u2028\x00" || fields["traceparent"] != traceparent {
		t.Errorf("%s: got %q with %q, %v", message, payload, fields, err)
	}
}

// The rules for reading hold for messages that the vectors do not have, and for large ones.
func TestDecodeRules(t *testing.T) {
	const tp = `"traceparent":"` + traceparent + `"`
	parent := map[string]string{"traceparent": traceparent}
	large := strings.Repeat("v", 16385)
	manyFields := `,"` + strings.Join(manyNames(20), `":"","`) + `":""`
	const whole = "the whole message" // as a payload in the table
	for _, tt := range []struct {
		name, reason, message, payload string
		fields                         map[string]string
		err                            error
	}{
		{"size with leading zero", "not R0: a writer does not write it", `{"tracedpubsub":1,"size":07,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"size of 19 digits", "it must fit into a number of any reader", `{"tracedpubsub":1,"size":0000000000000000007,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"size zero", "a document is not empty", `{"tracedpubsub":1,"size":0,"payload":{}`, whole, nil, wire.ErrMalformedEnvelope},
		{"size one", "the last bracket may not be the first", `{"tracedpubsub":1,"size":1,"payload":{}`, `{`, nil, nil},
		{"size too large by one", "R1 finds the end", `{"tracedpubsub":1,"size":8,"payload":{"a":1}}`, `{"a":1}`, nil, nil},
		{"size up to another bracket", "an object ends with a brace", `{"tracedpubsub":1,"size":2,"payload":{}]`, whole, nil, wire.ErrMalformedEnvelope},
		{"ts of 18 digits", "as many as R0 reads", `{"tracedpubsub":1,"ts":999999999999999999,"size":7,"payload":{"a":!}}`, `{"a":!}`, nil, nil},
		{"ts of 19 digits", "one too many for R0", `{"tracedpubsub":1,"ts":1999999999999999999,"size":7,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"ts and seq that are odd", "a reader that cannot use them ignores them", `{"tracedpubsub":1,` + tp + `,"ts":-1,"src":"a","seq":1.5,"payload":"a"}`, "a", parent, nil},
		{"ts and seq above 2^53", "likewise", `{"tracedpubsub":1,` + tp + `,"ts":9007199254740993,"src":"a","seq":1e30,"payload":"a"}`, "a", parent, nil},
		{"src that is odd", "likewise", `{"tracedpubsub":1,` + tp + `,"src":"` + strings.Repeat("x", 65) + `","src":"","src":"\ud800","payload":"a"}`, "a", parent, nil},
		{"accounting of other types", "likewise, and strings among them are no fields", `{"tracedpubsub":1,` + tp + `,"ts":"1","src":5,"seq":null,"payload":"a"}`, "a", parent, nil},
		{"accounting twice", "likewise", `{"tracedpubsub":1,` + tp + `,"ts":1,"ts":2,"src":"a","src":"b","seq":3,"seq":3,"payload":"a"}`, "a", parent, nil},
		{"accounting twice in front of a document", "not R0, but R1", `{"tracedpubsub":1,` + tp + `,"ts":1,"ts":2,"size":7,"payload":{"a":1}}`, `{"a":1}`, parent, nil},
		{"odd accounting in front of a document", "likewise", `{"tracedpubsub":1,` + tp + `,"ts":-1,"src":"a","seq":3,"size":7,"payload":{"a":1}}`, `{"a":1}`, parent, nil},
		{"large src", "it does not count against the fields", `{"tracedpubsub":1,` + tp + `,"src":"` + large + `","payload":"a"}`, "a", parent, nil},
		{"accounting of a foreign object", "no field, even if the propagator named it", `{` + tp + `,"ts":"1","src":"a","seq":"3"}`, whole, parent, nil},
		{"src before ts", "not R0: the order is fixed", `{"tracedpubsub":1,"src":"a","ts":1,"size":7,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"string named like a member in front", "not R0: names are compared unescaped", `{"tracedpubsub":1,"s\u0069ze":"1","size":7,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"bad UTF-8 in a document by R0", "the bytes are not read", "{\"tracedpubsub\":1,\"size\":7,\"payload\":{\"a\xff:1}}", "{\"a\xff:1}", nil, nil},
		{"bad UTF-8 in front", "R0 has strings there, and strings are UTF-8", "{\"tracedpubsub\":1,\"x\":\"\xff\",\"size\":7,\"payload\":{\"a\":1}}", whole, nil, wire.ErrMalformedEnvelope},
		{"lone surrogate in front", "not R0: all fields must be well-formed", `{"tracedpubsub":1,"x":"\ud800","size":7,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"lone surrogate in a name in front", "likewise", `{"tracedpubsub":1,"\ud800":"x","size":7,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"field twice in front", "not R0, whatever its name", `{"tracedpubsub":1,"x":"1","x":"2","size":7,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"many fields in front", "their number has no limit by R0 either", `{"tracedpubsub":1` + manyFields + `,"a":"1","size":7,"payload":{"a":!}}`, `{"a":!}`, map[string]string{"a": "1"}, nil},
		{"field twice among many in front", "likewise", `{"tracedpubsub":1` + manyFields + `,"field-3":"","size":7,"payload":{"a":!}}`, whole, nil, wire.ErrMalformedEnvelope},
		{"document with a field in front and behind", "R1 counts them all", `{"tracedpubsub":1,"x":"1","x":"2","size":7,"payload":{"a":1},"x":"3",` + tp + `}`, `{"a":1}`, parent, nil},
		{"field three times", "left out like one that comes twice", `{"tracedpubsub":1,` + tp + `,"x":"1","x":"2","x":"3","payload":"a"}`, "a", parent, nil},
		{"field twice, once broken", "two readers could disagree", `{"tracedpubsub":1,` + tp + `,"x":"1","x":"\ud800","payload":"a"}`, "a", parent, nil},
		{"names with a lone surrogate", "no bytes correspond to them", `{"tracedpubsub":1,` + tp + `,"\ud800":"1","x\udc00":"2","payload":"a"}`, "a", parent, nil},
		{"name with a replacement character", "it is a character like any other", `{"tracedpubsub":1,"\ud800":"1","\ufffd":"2","payload":"a"}`, "a", map[string]string{"\ufffd": "2"}, nil},
		{"names with the same beginning", "all of a name counts", `{"tracedpubsub":1,"abcdefgh":"1","abcdefghi":"2","abcdefgh\u0069":"3","abcdefgh\u0000":"4","payload":"a"}`, "a", map[string]string{"abcdefgh": "1", "abcdefgh\x00": "4"}, nil},
		{"names that end in zeros", "they differ in length", `{"tracedpubsub":1,"a":"1","a\u0000":"2","a\u0000\u0000":"3","":"4","payload":"a"}`, "a", map[string]string{"a": "1", "a\x00": "2", "a\x00\x00": "3", "": "4"}, nil},
		{"long escaped names", "longer than the memory on the stack", `{"tracedpubsub":1,"` + strings.Repeat(`\u0061`, 100) + `1":"1","` + strings.Repeat("a", 100) + `2":"2","payload":"a"}`, "a",
			map[string]string{strings.Repeat("a", 100) + "1": "1", strings.Repeat("a", 100) + "2": "2"}, nil},
		{"repeated fields do not count", "they are left out", `{"tracedpubsub":1,` + tp + `,"x":"` + large + `","x":"","payload":"a"}`, "a", parent, nil},
		{"names count", "and not only those that the propagator names", `{"tracedpubsub":1,` + tp + `,"` + large + `":"","payload":"a"}`, "a", nil, wire.ErrCarrierTooLarge},
		{"too large by R0", "the limit holds there too", `{"tracedpubsub":1,"baggage":"` + large + `","size":7,"payload":{"a":!}}`, `{"a":!}`, nil, wire.ErrCarrierTooLarge},
		{"too large by R4", "and for foreign messages", `{"baggage":"` + large + `"}`, whole, nil, wire.ErrCarrierTooLarge},
		{"too large by R3", "the version takes precedence", `{"tracedpubsub":2,"baggage":"` + large + `"}`, whole, nil, wire.ErrUnsupportedVersion},
		{"escapes count unescaped", "the limit is for the values that the propagator gets", `{"tracedpubsub":1,"baggage":"` + strings.Repeat(`\u0076`, 16377) + `","payload":""}`, "", map[string]string{"baggage": large[:16377]}, nil},
		{"field once as a string", "only a string is a carrier member", `{"tracedpubsub":1,` + tp + `,"traceparent":5,"payload":""}`, "", parent, nil},
		{"payload once as a string", "a payload member may have any value", `{"tracedpubsub":1,"payload":"a","payload":5}`, whole, nil, wire.ErrMalformedEnvelope},
		{"marker once as a number", "a marker is counted whatever its value", `{"tracedpubsub":1,"payload":"a","tracedpubsub":"1"}`, whole, nil, wire.ErrMalformedEnvelope},
		{"escaped marker", "names are compared unescaped", `{"tracedp\u0075bsub":1,"payload":"a"}`, "a", nil, nil},
		{"escaped field", "likewise", `{"tracedpubsub":1,"\u0074raceparent":"` + traceparent + `","payload":"a"}`, "a", parent, nil},
		{"field escaped and not", "the field is there twice", `{"tracedpubsub":1,"\u0074raceparent":"` + traceparent + `",` + tp + `,"baggage":"b","payload":"a"}`, "a", map[string]string{"baggage": "b"}, nil},
		{"version with exponent", "not a whole number as the rule has it", `{"tracedpubsub":2e1}`, whole, nil, wire.ErrMalformedEnvelope},
		{"negative version", "not above 1", `{"tracedpubsub":-2}`, whole, nil, wire.ErrMalformedEnvelope},
		{"version of 1,000 digits", "any length", `{"tracedpubsub":1` + strings.Repeat("0", 999) + `,` + tp + `}`, whole, parent, wire.ErrUnsupportedVersion},
		{"two versions", "two readers could disagree", `{"tracedpubsub":2,"tracedpubsub":2,` + tp + `}`, whole, nil, wire.ErrMalformedEnvelope},
		{"two versions behind a space", "the same, but its first bytes are not those of an envelope", `{ "tracedpubsub":2,"tracedpubsub":2,` + tp + `}`, whole, parent, nil},
		{"repeated field of a later version", "left out", `{"tracedpubsub":2,` + tp + `,"baggage":"a","baggage":"b"}`, whole, parent, wire.ErrUnsupportedVersion},
		{"lone surrogate in a foreign field", "left out", `{` + tp + `,"baggage":"\udc00"}`, whole, parent, nil},
		{"surrogates in the wrong order", "two lone ones", `{"tracedpubsub":1,"payload":"\udc00\ud800"}`, whole, nil, wire.ErrMalformedEnvelope},
		{"escaped line breaks in base64", "the decoder of Go would skip them", `{"tracedpubsub":1,"payload_base64":"YWJj\r\n\r\n"}`, whole, nil, wire.ErrMalformedEnvelope},
		{"form feed around", "it is not white space in JSON", "\f{\"tracedpubsub\":1,\"payload\":\"a\"}", whole, nil, nil},
		{"unfinished literal", "a value is read to its end", `{"tracedpubsub":1,"payload":nul}`, whole, nil, wire.ErrMalformedEnvelope},
		{"comma at the end", "RFC 8259", `{"tracedpubsub":1,"payload":"a",}`, whole, nil, wire.ErrMalformedEnvelope},
		{"ten million levels", "the stack does not overflow", `{"tracedpubsub":1,"payload":` + strings.Repeat(`[`, 10_000_000), whole, nil, wire.ErrMalformedEnvelope},
	} {
		t.Run(tt.name, func(t *testing.T) {
			payload, fields, err := decode(tt.message, w3c)
			want := tt.payload
			if want == whole {
				want = tt.message
			}
			if !errors.Is(err, tt.err) || payload != want || !maps.Equal(fields, tt.fields) {
				t.Errorf("%s: got %.200q with %.200q, %v;\nwant %.200q with %.200q, %v",
					tt.reason, payload, fields, err, want, tt.fields, tt.err)
			}
			if !tooDeep(tt.message) {
				assertReadsLike(t, tt.message)
			}
		})
	}
}

// IsEnvelope recognizes envelopes of any version, and copies their fields.
func TestIsEnvelope(t *testing.T) {
	for _, tt := range []struct {
		name, reason, payload string
		want                  bool
		traceparent           string
	}{
		{"envelope", "as it is written", `{"tracedpubsub":1,"traceparent":"p","payload":"hello"}`, true, "p"},
		{"white space", "another program may have written it", "\n{ \"traceparent\": \"p\", \"tracedpubsub\": 1, \"payload\": [1] }", true, "p"},
		{"escaped marker", "it stands for the same", `{"\u0074racedpubsub":1,"traceparent":"p","payload":""}`, true, "p"},
		{"later version", "this release cannot read its payload", `{"tracedpubsub":2,"traceparent":"p"}`, true, "p"},
		{"malformed", "no reader can decode it", `{"tracedpubsub":1,"traceparent":"p","payload":"hel`, false, ""},
		{"CloudEvent", "its fields are not ours", `{"specversion":"1.0","traceparent":"p"}`, false, ""},
		{"mention", "the name is a value", `{"from":"tracedpubsub"}`, false, ""},
		{"text", "no object", "tracedpubsub", false, ""},
		{"nothing", "no object either", "", false, ""},
	} {
		var f wire.Fields
		payload := []byte(tt.payload)
		got := wire.IsEnvelope(payload, []string{"traceparent"}, &f)
		clear(payload) // the fields must not share it
		if got != tt.want || f.Get("traceparent") != tt.traceparent {
			t.Errorf("%s: IsEnvelope = %v with traceparent %q, want %v with %q: %s", tt.name, got, f.Get("traceparent"), tt.want, tt.traceparent, tt.reason)
		}
	}
}

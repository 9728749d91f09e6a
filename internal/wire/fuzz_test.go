// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// maxSeed is the length that a message of the vectors may have to become a seed. With a
// large one, a fuzz target can try little.
const maxSeed = 4 << 10

// addMessages adds the messages of the vectors to the seeds of f in testdata/fuzz.
func addMessages(f *testing.F) {
	v := readVectors(f)
	for _, e := range v.Encode {
		if len(e.Message) < maxSeed {
			f.Add(string(e.Message))
		}
	}
	for _, d := range v.Decode {
		if len(d.Message) < maxSeed {
			f.Add(string(d.Message))
		}
	}
	// More fields than are kept at first, in an envelope and in another object.
	const many = `"b3":"1","a":"2","c":"","d":"4","b":"5","f":"6","e":"7","h":"8","g":"9","x-b3-sampled":"1","traceparent":"p","a":"10"`
	for _, message := range []string{
		`{"tracedpubsub":1,` + many + `,"size":2,"payload":{}}`, `{"tracedpubsub":1,` + many[:len(many)-9] + `,"size":2,"payload":{}}`,
		`{` + many + `,"tracedpubsub":1,"payload":""}`, `{"tracedpubsub":2,` + many + `}`, `{` + many + `,"b3":"2"}`,
	} {
		f.Add(message)
	}
}

// FuzzDecode asserts that no message makes Decode panic, that the payload of a message
// that cannot be decoded is the message itself, and that fields keep to their limit.
func FuzzDecode(f *testing.F) {
	addMessages(f)
	f.Fuzz(func(t *testing.T, message string) {
		payload, fields, err := decode(message, everyField)
		malformed, tooLarge := errors.Is(err, wire.ErrMalformedEnvelope), errors.Is(err, wire.ErrCarrierTooLarge)
		switch {
		case malformed || errors.Is(err, wire.ErrUnsupportedVersion):
			if payload != message {
				t.Errorf("%v: payload %q", err, payload)
			}
		case err != nil && !tooLarge:
			t.Errorf("an error of another kind: %v", err)
		}
		size := 0
		for name, value := range fields {
			size += len(name) + len(value)
			if slices.Contains(reserved, name) || !utf8.ValidString(name) || !utf8.ValidString(value) {
				t.Errorf("the fields have %q: %q", name, value)
			}
		}
		if size > 16384 {
			t.Errorf("fields of %d bytes", size)
		}
		if size > 0 && (malformed || tooLarge) {
			t.Errorf("%v: fields of %d bytes", err, size)
		}
	})
}

// FuzzRoundTrip asserts that Decode returns what Append was given, whatever its bytes are,
// and that every reader of JSON can read the envelope.
func FuzzRoundTrip(f *testing.F) {
	for _, v := range readVectors(f).Encode {
		if len(v.Message) < maxSeed {
			f.Add(v.Payload, v.Carrier["traceparent"], v.Carrier["baggage"], "b3", v.Carrier["b3"])
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, traceparent, baggage, name, value string) {
		set := map[string]string{name: value, "traceparent": traceparent, "baggage": baggage}
		want := maps.Clone(set)
		size := 0
		for name, value := range set {
			if value == "" || slices.Contains(reserved, name) || !utf8.ValidString(name) || !utf8.ValidString(value) {
				delete(want, name)
				continue
			}
			size += len(name) + len(value)
		}
		if size > 16384 {
			clear(want)
		}

		fields := makeFields(set)
		b, leftOut := wire.Append(nil, &fields, string(payload))
		message := string(b)
		if !utf8.ValidString(message) {
			t.Errorf("not UTF-8: %q", message)
		}
		if !json.Valid(b) || !wellFormed(message) || depthOf(message) > 61 {
			t.Errorf("not JSON that all parsers read: %q", message)
		}
		maps.DeleteFunc(set, func(_, value string) bool { return value == "" })
		if (leftOut != nil) != (len(want) < len(set)) {
			t.Errorf("of the fields %q, %q should be written; the error is %v", set, want, leftOut)
		}

		got, read, err := decode(message, w3c)
		if err != nil || got != string(payload) || !maps.Equal(read, want) {
			t.Errorf("%q is decoded to %q with %q, %v", message, got, read, err)
		}
		fields = makeFields(read)
		if again, _ := wire.Append(nil, &fields, got); string(again) != message {
			t.Errorf("not canonical: %q became %q", message, again)
		}
	})
}

// FuzzDecodeIsJSON asserts that what is an envelope by R1 is JSON by encoding/json.
func FuzzDecodeIsJSON(f *testing.F) {
	addMessages(f)
	f.Fuzz(func(t *testing.T, message string) {
		payload, _, err := decode(message, everyField)
		isEnvelope := payload != message || errors.Is(err, wire.ErrUnsupportedVersion)
		if _, _, byR0 := readR0(message); byR0 || !isEnvelope || tooDeep(message) {
			return
		}
		if !utf8.ValidString(message) || !json.Valid([]byte(message)) {
			t.Errorf("decoded to %q, %v: %q", payload, err, message)
		}
	})
}

// FuzzDecodeAgainstReader asserts that the plain reader makes the same of every message.
func FuzzDecodeAgainstReader(f *testing.F) {
	addMessages(f)
	f.Fuzz(func(t *testing.T, message string) {
		if !tooDeep(message) {
			assertReadsLike(t, message)
		}
	})
}

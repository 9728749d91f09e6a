// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub"
)

// addMessages adds the messages of the vectors to the seeds of f that are in
// testdata/fuzz, except for large ones, with which little can be tried.
func addMessages(f *testing.F) {
	const large = 4 << 10
	v := readVectors(f)
	for _, e := range v.Encode {
		if len(e.Message) < large {
			f.Add(string(e.Message))
		}
	}
	for _, d := range v.Decode {
		if len(d.Message) < large {
			f.Add(string(d.Message))
		}
	}
}

// FuzzDecode: whatever arrives, nothing panics, nothing is lost, and no carrier
// is larger than the limit.
func FuzzDecode(f *testing.F) {
	addMessages(f)
	f.Fuzz(func(t *testing.T, message string) {
		e, err := tracedpubsub.Decode(message, tracedpubsub.WithPropagators(everyField))
		malformed, tooLarge := errors.Is(err, tracedpubsub.ErrMalformedEnvelope), errors.Is(err, tracedpubsub.ErrCarrierTooLarge)
		switch {
		case malformed || errors.Is(err, tracedpubsub.ErrUnsupportedVersion):
			if e.Payload != message {
				t.Errorf("%v: payload %q", err, e.Payload)
			}
		case err != nil && !tooLarge:
			t.Errorf("an error of another kind: %v", err)
		}
		size := 0
		for name, value := range fieldsIn(&e.Carrier) {
			size += len(name) + len(value)
			if !slices.Contains(everyField, name) || !utf8.ValidString(value) {
				t.Errorf("carrier has %q: %q", name, value)
			}
		}
		if size > 16384 {
			t.Errorf("carrier of %d bytes", size)
		}
		if size > 0 && (malformed || tooLarge) {
			t.Errorf("%v: carrier of %d bytes", err, size)
		}
	})
}

// FuzzRoundTrip: what is put into an envelope comes out of it, whatever its
// bytes, and every reader of JSON can read the envelope.
func FuzzRoundTrip(f *testing.F) {
	for _, v := range readVectors(f).Encode {
		if len(v.Message) < 4<<10 {
			f.Add(v.Payload, v.Carrier["traceparent"], v.Carrier["baggage"], "b3", v.Carrier["b3"])
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, traceparent, baggage, name, value string) {
		fields := map[string]string{name: value, "traceparent": traceparent, "baggage": baggage}
		want := maps.Clone(fields)
		size := 0
		for name, value := range fields {
			if value == "" || slices.Contains(reserved, name) || !utf8.ValidString(name) || !utf8.ValidString(value) {
				delete(want, name)
				continue
			}
			size += len(name) + len(value)
		}
		if size > 16384 {
			clear(want)
		}

		propagator := tracedpubsub.WithPropagators(fieldsPropagator{"traceparent", "tracestate", "baggage", name})
		var reports reportLog
		e, _ := tracedpubsub.Decode("", propagator, reports.option())
		e.Carrier, e.Payload = carrierOf(fields), string(payload)
		message := string(e.AppendTo(nil))
		if !utf8.ValidString(message) {
			t.Errorf("not UTF-8: %q", message)
		}
		if !json.Valid([]byte(message)) && !tooDeepToTell(message) {
			t.Errorf("not JSON: %q", message)
		}
		maps.DeleteFunc(fields, func(_, value string) bool { return value == "" })
		if (len(reports) > 0) != (len(want) < len(fields)) {
			t.Errorf("of the fields %q, %q should be written; reported: %v", fields, want, reports)
		}

		back, err := tracedpubsub.Decode(message, propagator)
		if err != nil || back.Payload != string(payload) || !maps.Equal(fieldsIn(&back.Carrier), want) {
			t.Errorf("%q came back with error %v, payload %q, carrier %q", message, err, back.Payload, fieldsIn(&back.Carrier))
		}
		if again := string(back.AppendTo(nil)); again != message {
			t.Errorf("not canonical: %q became %q", message, again)
		}
	})
}

// FuzzDecodeIsJSON: what Decode takes for an envelope by R1, encoding/json takes
// for JSON.
func FuzzDecodeIsJSON(f *testing.F) {
	addMessages(f)
	f.Fuzz(func(t *testing.T, message string) {
		e, err := tracedpubsub.Decode(message, tracedpubsub.WithPropagators(everyField))
		isEnvelope := e.Payload != message || errors.Is(err, tracedpubsub.ErrUnsupportedVersion)
		if _, _, byR0 := readR0(message); byR0 || !isEnvelope || tooDeepToTell(message) {
			return
		}
		if !utf8.ValidString(message) || !json.Valid([]byte(message)) {
			t.Errorf("taken for an envelope, with payload %q and error %v: %q", e.Payload, err, message)
		}
	})
}

// FuzzDecodeAgainstReader: a second reader takes the same from every message.
func FuzzDecodeAgainstReader(f *testing.F) {
	addMessages(f)
	f.Fuzz(func(t *testing.T, message string) {
		if !tooDeepToTell(message) {
			assertReadsLike(t, message)
		}
	})
}

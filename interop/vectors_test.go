// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

// vector is an example of the wire format.
type vector struct {
	Name, Reason, Level string
	Carrier             map[string]string
	Payload             []byte `json:"payload_b64"`
	Message             []byte `json:"message_b64"`
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Encode, Decode []vector }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Encode {
		v := &all.Encode[i]
		v.Carrier = stringMembers(t, v.Message) // a writer leaves out what an envelope cannot hold
	}
	return append(all.Encode, all.Decode...)
}

func stringMembers(t *testing.T, message []byte) map[string]string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(message, &members); err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for name, value := range members {
		var text string
		if value[0] == '"' && json.Unmarshal(value, &text) == nil {
			texts[name] = text
		}
	}
	return texts
}

// expected returns what a reader with the propagators of W3C gets.
func (v *vector) expected() expected {
	want := expected{payload: string(v.Payload), baggage: make(map[string]string)}
	carrier := readable(v.Carrier)
	want.parent = idOf(trace.SpanContextFromContext(w3c.Extract(emptyContext, carrier)))
	for _, m := range baggage.FromContext(w3c.Extract(emptyContext, carrier)).Members() {
		want.baggage[m.Key()] = m.Value()
	}
	return want
}

// assertVector asserts what readers say of a vector. A reader that is not exact has to get the
// simple ones right, and to go on reading after all of them.
func (r *reader) assertVector(t *testing.T, v *vector) {
	t.Helper()
	got, ok := r.next(t, v.Name)
	if !ok {
		return
	}
	want := v.expected()
	switch {
	case r.text && !utf8.Valid(v.Message): // the client has changed it
	case r.exact && string(got.Payload) != want.payload,
		v.Level == "simple" && string(got.Payload) != want.payload && !sameJSON(got.Payload, v.Payload):
		t.Errorf("%s: payload %.100q, want %.100q", r.name, got.Payload, want.payload)
	case r.exact:
		r.assertContext(t, got, want)
	case v.Level == "simple" && got.Parent != want.parent: // not every language reads baggage as strictly
		t.Errorf("%s: parent %q, want %q", r.name, got.Parent, want.parent)
	}
}

// sameJSON reports whether two payloads are the same JSON value, with numbers as they are
// written.
func sameJSON(a, b []byte) bool {
	var values [2]any
	for i, text := range [][]byte{a, b} {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if d.Decode(&values[i]) != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

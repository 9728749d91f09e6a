// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// payloads are one for each form that an envelope has, long ones in front of short ones.
var payloads = []string{
	strings.Repeat("the quick brown fox ", 50), "say \"hi\"\n", `{"id":7}`, "[ ]", "\xff\xfe\xfd", "hello", "",
}

// A batch begins once, and wraps its payloads one after the other.
func TestAWriterWritesWhatAppendWrites(t *testing.T) {
	var w wire.Writer
	for name, f := range map[string]wire.Fields{
		"nothing":          {},
		"traceparent":      fieldsOf("traceparent", traceparent),
		"baggage":          fieldsOf("baggage", "tenant=acme", "traceparent", traceparent),
		"other fields":     fieldsOf("b", "2", "a", "1"),
		"a reserved field": fieldsOf("payload", "1"),
	} {
		for range 2 {
			leftOut := w.Begin(&f)
			for _, payload := range payloads {
				want, err := wire.Append([]byte("before"), &f, payload)
				w.Wrap([]byte(payload))
				assertWrites(t, &w, strings.TrimPrefix(string(want), "before"))
				if (leftOut == nil) != (name != "a reserved field") || (err == nil) != (leftOut == nil) {
					t.Errorf("%s: the errors are %v and %v", name, leftOut, err)
				}
			}
			w.Reset()
		}
	}
}

func TestAWriterBeginsWithATraceparentAlone(t *testing.T) {
	f := fieldsOf("traceparent", traceparent)
	var w wire.Writer
	for _, payload := range payloads {
		want, err := wire.Append(nil, &f, payload)
		if err != nil {
			t.Fatal(err)
		}
		w.BeginTraceparent([]byte(traceparent))
		w.Wrap([]byte(payload))
		assertWrites(t, &w, string(want))
	}
}

func assertWrites(t *testing.T, w *wire.Writer, want string) {
	t.Helper()
	if got := w.Text(); got != want {
		t.Errorf("the envelope is\n%q, want\n%q", got, want)
	}
	if got := string(w.AppendTo([]byte("before"))); got != "before"+want {
		t.Errorf("appended is\n%q, want\n%q", got, "before"+want)
	}
	if got := w.Len(); got != len(want) {
		t.Errorf("Len() = %d, want %d", got, len(want))
	}
}

func TestTextIsKept(t *testing.T) {
	var w wire.Writer
	w.BeginTraceparent([]byte(traceparent))
	w.Wrap([]byte("first"))
	first := w.Text()
	w.Wrap([]byte("second"))
	if !strings.Contains(first, `"first"`) {
		t.Errorf("the first envelope has become %q", first)
	}
}

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
		{"malformed", "nobody can read it", `{"tracedpubsub":1,"traceparent":"p","payload":"hel`, false, ""},
		{"CloudEvent", "its fields are not ours", `{"specversion":"1.0","traceparent":"p"}`, false, ""},
		{"mention", "the name is a value", `{"from":"tracedpubsub"}`, false, ""},
		{"text", "no object", "tracedpubsub", false, ""},
		{"nothing", "no object either", "", false, ""},
	} {
		var f wire.Fields
		payload := []byte(tt.payload)
		got := wire.IsEnvelope(payload, []string{"traceparent"}, &f)
		clear(payload) // the caller's own
		if got != tt.want || f.Get("traceparent") != tt.traceparent {
			t.Errorf("%s: IsEnvelope = %v with traceparent %q, want %v with %q: %s", tt.name, got, f.Get("traceparent"), tt.want, tt.traceparent, tt.reason)
		}
	}
}

func TestFieldsOfTraceparentAlone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields wire.Fields
		value  string
		only   bool
		empty  bool
	}{
		{"nothing", wire.Fields{}, "", true, true},
		{"traceparent", fieldsOf("traceparent", "p"), "p", true, false},
		{"tracestate", fieldsOf("traceparent", "p", "tracestate", "s"), "p", false, false},
		{"baggage", fieldsOf("baggage", "b"), "", false, false},
		{"another field", fieldsOf("traceparent", "p", "b3", "1"), "p", false, false},
		{"taken back", fieldsOf("traceparent", "p", "traceparent", ""), "", true, true},
	} {
		value, only := tt.fields.Traceparent()
		if value != tt.value || only != tt.only || tt.fields.Empty() != tt.empty {
			t.Errorf("%s: traceparent %q, only %v, empty %v", tt.name, value, only, tt.fields.Empty())
		}
	}
}

func TestNames(t *testing.T) {
	f := fieldsOf("x", "1", "baggage", "b", "empty", "", "a", "2", "traceparent", "p")
	if got, want := f.Names(), []string{"traceparent", "baggage", "x", "a"}; !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
}

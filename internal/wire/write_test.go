// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// payloads has a payload for each form of an envelope, long ones in front of short ones.
var payloads = []string{
	strings.Repeat("the quick brown fox ", 50), "say \"hi\"\n", `{"id":7}`, "[ ]", "\xff\xfe\xfd", "hello", "",
}

// A Writer writes what Append writes. It begins once, and wraps one payload after the
// other.
func TestWriterWritesWhatAppendWrites(t *testing.T) {
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

// BeginTraceparent does what Begin does.
func TestWriterBeginsWithTraceparentAlone(t *testing.T) {
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

// The text of an envelope does not change when the next payload is wrapped.
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// everyField are the names of the fields of W3C and B3.
var everyField = []string{
	"traceparent", "tracestate", "baggage", "b3",
	"x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
}

// w3c are the names of the fields of W3C.
var w3c = everyField[:3]

// fieldsOf returns the fields with the given names and values, in turn.
func fieldsOf(namesAndValues ...string) (f wire.Fields) {
	for i := 0; i < len(namesAndValues); i += 2 {
		f.Set(namesAndValues[i], namesAndValues[i+1])
	}
	return f
}

// makeFields returns the fields of m.
func makeFields(m map[string]string) (f wire.Fields) {
	for name, value := range m {
		f.Set(name, value)
	}
	return f
}

// usual returns the fields of W3C and B3. The vectors name no others.
func usual(fields map[string]string) map[string]string {
	fields = maps.Clone(fields)
	maps.DeleteFunc(fields, func(name, _ string) bool { return !slices.Contains(everyField, name) })
	return fields
}

// decode calls Decode, and returns the fields as a map.
func decode(message string, names []string) (payload string, fields map[string]string, err error) {
	var f wire.Fields
	payload, err = wire.Decode(message, names, &f, nil)
	fields = make(map[string]string)
	for _, name := range f.Names() {
		fields[name] = f.Get(name)
	}
	return payload, fields, err
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
		{"another field", fieldsOf("traceparent", "p", "b3", "1"), "p", true, false},
		{"only another field", fieldsOf("b3", "1"), "", true, false},
		{"set to nothing", fieldsOf("traceparent", "p", "traceparent", ""), "", true, true},
	} {
		value, only := tt.fields.Traceparent()
		if value != tt.value || only != tt.only || tt.fields.Empty() != tt.empty {
			t.Errorf("%s: traceparent %q, only %v, empty %v", tt.name, value, only, tt.fields.Empty())
		}
	}
}

func TestNames(t *testing.T) {
	f := fieldsOf("x", "1", "baggage", "b", "empty", "", "a", "2", "traceparent", "p", "A", "3")
	if got, want := f.Names(), []string{"traceparent", "baggage", "A", "a", "x"}; !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
}

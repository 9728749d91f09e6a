// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"iter"
	"slices"
	"strings"
)

// Fields holds the propagation fields of one message. Names are case-sensitive, like the
// member names of a JSON object. The zero Fields is empty and ready to use. A copy is
// independent of the original. Fields is not safe for concurrent use.
type Fields struct {
	// The W3C fields have variables of their own, so that most messages need no slice.
	// All others are sorted by the bytes of their names, as an envelope has them.
	traceparent, tracestate, baggage string
	others                           []field

	// copied is the traceparent of a large message, in place of the variable above. A
	// substring would keep the message in memory, and a string of its own would be an
	// allocation for each message.
	copied    [LenTraceparent]byte
	hasCopied bool
}

type field struct{ name, value string }

const (
	nameTraceparent = "traceparent"
	nameTracestate  = "tracestate"
	nameBaggage     = "baggage"
)

var w3cNames = [3]string{nameTraceparent, nameTracestate, nameBaggage}

// LenTraceparent is the length of a traceparent of version 00.
const LenTraceparent = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// Get returns the value of a field, or "" if the field is not set.
func (f *Fields) Get(name string) string {
	if f.hasCopied && name == nameTraceparent {
		return string(f.copied[:])
	}
	if value := f.w3c(name); value != nil {
		return *value
	}
	if i, found := f.other(name); found {
		return f.others[i].value
	}
	return ""
}

// Set sets the value of a field.
func (f *Fields) Set(name, value string) {
	if v := f.w3c(name); v != nil {
		*v = value
		f.hasCopied = f.hasCopied && name != nameTraceparent
		return
	}
	i, found := f.other(name)
	// A copy of f has the same slice, and must not change.
	others := append(make([]field, 0, len(f.others)+1), f.others...)
	if found {
		others[i].value = value
	} else {
		others = slices.Insert(others, i, field{name, value})
	}
	f.others = others
}

// Names returns the names of the fields whose value is not empty: the W3C fields first, then
// the others, sorted.
func (f *Fields) Names() []string {
	names := make([]string, 0, 3+len(f.others))
	for name, value := range f.all() {
		if value != "" {
			names = append(names, name)
		}
	}
	return names
}

// Size returns the size of the names and values of all fields whose value is not empty, in
// bytes. A message has at most [MaxFields].
func (f *Fields) Size() int {
	size := 0
	for name, value := range f.all() {
		if value != "" {
			size += len(name) + len(value)
		}
	}
	return size
}

// Empty reports whether no field is set.
func (f *Fields) Empty() bool {
	value, only := f.Traceparent()
	return value == "" && only && len(f.others) == 0
}

// Traceparent returns the value of the field traceparent, which is valid until f changes.
// only reports whether no other field of W3C is set.
func (f *Fields) Traceparent() (value string, only bool) {
	value = f.traceparent
	if f.hasCopied {
		value = viewString(f.copied[:])
	}
	return value, f.tracestate == "" && f.baggage == ""
}

// all yields all fields in the order of Names, also those with an empty value. The values are
// valid until f changes.
func (f *Fields) all() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		traceparent, _ := f.Traceparent()
		if !yield(nameTraceparent, traceparent) || !yield(nameTracestate, f.tracestate) || !yield(nameBaggage, f.baggage) {
			return
		}
		for _, other := range f.others {
			if !yield(other.name, other.value) {
				return
			}
		}
	}
}

// other returns the index of a field in others, or where it has to be inserted. A propagator
// may ask for many fields, each by its name.
func (f *Fields) other(name string) (i int, found bool) {
	return slices.BinarySearchFunc(f.others, name, func(other field, name string) int {
		return strings.Compare(other.name, name)
	})
}

// w3c returns the variable of a W3C field, or nil for any other field.
func (f *Fields) w3c(name string) *string {
	switch name {
	case nameTraceparent:
		return &f.traceparent
	case nameTracestate:
		return &f.tracestate
	case nameBaggage:
		return &f.baggage
	}
	return nil
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"slices"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
)

func carrierOf(fields map[string]string) (c tracedpubsub.Carrier) {
	for name, value := range fields {
		c.Set(name, value)
	}
	return c
}

func fieldsIn(c *tracedpubsub.Carrier) map[string]string {
	fields := make(map[string]string)
	for _, name := range c.Keys() {
		fields[name] = c.Get(name)
	}
	return fields
}

// decodeAll decodes an envelope with the fields of W3C and B3.
func decodeAll(t *testing.T, message string) tracedpubsub.Envelope {
	t.Helper()
	e, err := tracedpubsub.Decode(message, tracedpubsub.WithPropagators(everyField))
	if err != nil {
		t.Fatalf("decode %.300q: %v", message, err)
	}
	return e
}

// A Carrier has the fields that were set, each with its last value.
func TestCarrierHoldsFields(t *testing.T) {
	var c tracedpubsub.Carrier
	if got := c.Get("traceparent"); got != "" || len(c.Keys()) != 0 {
		t.Errorf("the zero Carrier has %q and %q", got, c.Keys())
	}
	for _, f := range [][2]string{{"x-b3-flags", "1"}, {"baggage", "a"}, {"b3", "2"}, {"traceparent", "p"}, {"empty", ""}, {"x-b3-flags", "3"}, {"baggage", "b"}} {
		c.Set(f[0], f[1])
	}
	for _, tt := range []struct{ name, want, reason string }{
		{"traceparent", "p", "set once"},
		{"baggage", "b", "the later value replaces the earlier"},
		{"x-b3-flags", "3", "likewise for other fields"},
		{"b3", "2", "a field between others"},
		{"empty", "", "set to nothing"},
		{"tracestate", "", "never set"},
		{"absent", "", "not a field"},
		{"Traceparent", "", "names are case-sensitive"},
	} {
		if got := c.Get(tt.name); got != tt.want {
			t.Errorf("Get(%q) = %q, want %q: %s", tt.name, got, tt.want, tt.reason)
		}
	}
	if got, want := c.Keys(), []string{"traceparent", "baggage", "b3", "x-b3-flags"}; !slices.Equal(got, want) {
		t.Errorf("Keys() = %q, want %q: W3C first, then the others sorted, and no empty ones", got, want)
	}
}

// Setting a field of a copy does not change the original.
func TestCarrierCopiesAreIndependent(t *testing.T) {
	var original tracedpubsub.Carrier
	for _, name := range []string{"traceparent", "a", "b", "c"} {
		original.Set(name, "original")
	}
	one, two := original, original
	one.Set("traceparent", "one")
	one.Set("a", "one")
	one.Set("d", "one")
	two.Set("b", "two")
	two.Set("d", "two")
	for _, tt := range []struct {
		name    string
		carrier tracedpubsub.Carrier
		want    []string // of traceparent, a, b, c, d
	}{
		{"original", original, []string{"original", "original", "original", "original", ""}},
		{"one", one, []string{"one", "one", "original", "original", "one"}},
		{"two", two, []string{"original", "original", "two", "original", "two"}},
	} {
		var got []string
		for _, name := range []string{"traceparent", "a", "b", "c", "d"} {
			got = append(got, tt.carrier.Get(name))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s holds %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A copy of a Carrier of Decode is independent as well.
func TestDecodedCarriersAreIndependent(t *testing.T) {
	e := decodeAll(t, `{"tracedpubsub":1,"b3":"b","x-b3-flags":"f","payload":""}`)
	one, two := e.Carrier, e.Carrier
	one.Set("b3", "one")
	one.Set("new", "one")
	two.Set("new", "two")
	if e.Carrier.Get("b3") != "b" || e.Carrier.Get("new") != "" || one.Get("new") != "one" || two.Get("b3") != "b" {
		t.Errorf("decoded %q, one %q, two %q", fieldsIn(&e.Carrier), fieldsIn(&one), fieldsIn(&two))
	}
}

// Keys has the order of the envelope, in whatever order the fields were set.
func TestCarrierHasTheOrderOfTheEnvelope(t *testing.T) {
	e := decodeAll(t, "hi")
	e.Carrier.Set("z", "1")
	e.Carrier.Set("a", "2")
	e.Carrier.Set("baggage", "3")
	if got, want := string(e.AppendTo(nil)), `{"tracedpubsub":1,"baggage":"3","a":"2","z":"1","payload":"hi"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := e.Carrier.Keys(), []string{"baggage", "a", "z"}; !slices.Equal(got, want) {
		t.Errorf("Keys() = %q, want %q", got, want)
	}
}

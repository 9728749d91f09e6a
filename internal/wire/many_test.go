// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// manyMembers returns n members, each in the form of format, which gets the numbers below n in
// an order that is not sorted. n must be a power of two.
func manyMembers(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i*7919%n)
	}
	return b.String()
}

// The cost of a message grows with its length, and not with the square of the number of its
// members. All names have to be compared to find those that occur twice.
func TestCostOfManyFields(t *testing.T) {
	const few, many = 1 << 10, 1 << 15
	for _, tt := range []struct {
		name, reason string
		message      func(n int) string
		err          error
	}{
		{"short names", "they differ in the first bytes", func(n int) string {
			return `{"tracedpubsub":1` + manyMembers(n, `,"%x":""`) + `,"payload":""}`
		}, wire.ErrCarrierTooLarge},
		{"long names", "they differ in the last bytes", func(n int) string {
			return `{"tracedpubsub":1` + manyMembers(n, `,"ot-baggage-%05x":""`) + `,"payload":""}`
		}, wire.ErrCarrierTooLarge},
		{"escaped names", "they are compared unescaped", func(n int) string {
			return `{"tracedpubsub":1` + manyMembers(n, `,"\u006ft-baggage-%05x":""`) + `,"payload":""}`
		}, wire.ErrCarrierTooLarge},
		{"each twice", "all are left out", func(n int) string {
			return `{"tracedpubsub":1` + manyMembers(n/2, `,"%x":""`) + manyMembers(n/2, `,"%x":""`) + `,"payload":""}`
		}, nil},
		{"one name", "all are left out", func(n int) string {
			return `{"tracedpubsub":1` + strings.Repeat(`,"ot-baggage-x":""`, n) + `,"payload":""}`
		}, nil},
		{"document", "all are compared before its size counts", func(n int) string {
			return `{"tracedpubsub":1` + manyMembers(n, `,"%x":""`) + `,"size":2,"payload":{}}`
		}, wire.ErrCarrierTooLarge},
		{"foreign object", "the propagator names none of them", func(n int) string {
			return `{"traceparent":"p"` + manyMembers(n, `,"%x":""`) + `}`
		}, nil},
		{"foreign object with one name", "the propagator names it", func(n int) string {
			return `{"a":"","b":""` + strings.Repeat(`,"baggage":""`, n) + `}`
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			small, large := tt.message(few), tt.message(many)
			var f wire.Fields
			if _, err := wire.Decode(large, w3c, &f, nil); !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Fatalf("%s: %v, want %v", tt.reason, err, tt.err)
			}
			one := leastTime(func() { _, _, _ = decode(small, w3c) })
			all := leastTime(func() { _, _, _ = decode(large, w3c) })
			_, allocated := costOf(large)
			// There are 32 times as many, and 1,024 times as many pairs of them. The rest is for
			// a machine that is busy.
			if all > 400*one {
				t.Errorf("%s: %d fields cost %v, and %d cost %v", tt.reason, many, all, few, one)
			}
			if most := uint64(8 * len(large)); allocated > most {
				t.Errorf("%s: allocates %d bytes, want at most %d", tt.reason, allocated, most)
			}
		})
	}
}

// A propagator may ask for each field by its name.
func TestCostOfGetOfManyFields(t *testing.T) {
	ask := func(n int) func() {
		var f wire.Fields
		if _, err := wire.Decode(`{"tracedpubsub":1`+manyMembers(n, `,"%x":"v"`)+`,"payload":""}`, w3c, &f, nil); err != nil {
			t.Fatal(err)
		}
		names := f.Names()
		if len(names) != n {
			t.Fatalf("%d fields, want %d", len(names), n)
		}
		return func() {
			for _, name := range names {
				if f.Get(name) != "v" {
					t.Errorf("%s: %q", name, f.Get(name))
				}
			}
		}
	}
	few, many := leastTime(ask(1<<6)), leastTime(ask(1<<11))
	if many > 200*few { // 32 times as many, and 1,024 times as many pairs
		t.Errorf("2,048 fields cost %v, and 64 cost %v", many, few)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// TestValidUTF8 asks unicode/utf8 about every pair of bytes, with whatever may
// stand behind it.
func TestValidUTF8(t *testing.T) {
	for pair := range 1 << 16 {
		for _, behind := range []string{"", "\x7f", "\x80", "\xbf", "\xc0", "\x80\x80", "\xbf\xbf", "\xbf\x7f", "\x80\x80\x80"} {
			text := append([]byte{byte(pair >> 8), byte(pair)}, behind...)
			if got, want := jsontext.ValidUTF8(text), utf8.Valid(text); got != want {
				t.Fatalf("ValidUTF8(%q) = %v", text, got)
			}
		}
	}
}

// TestValidUTF8AtEveryPosition: characters may stand across the border of what is
// looked at together.
func TestValidUTF8AtEveryPosition(t *testing.T) {
	for _, tt := range []struct {
		name, text, reason string
		want               bool
	}{
		{"two bytes", "é", "the shortest outside ASCII", true},
		{"three bytes", "色", "one of the others", true},
		{"four bytes", "😀", "the longest", true},
		{"cut off", "\xf0\x9f\x98", "ASCII does not continue it", false},
		{"continued", "é\xa9", "a byte too many", false},
		{"surrogate", "\xed\xa0\x80", "no character", false},
		{"overlong", "\xc0\xaf", "another way to write a slash", false},
	} {
		for before := range 70 {
			for _, after := range []int{0, 1, 31, 32, 70} {
				text := strings.Repeat("x", before) + tt.text + strings.Repeat("x", after)
				if got := jsontext.ValidUTF8([]byte(text)); got != tt.want {
					t.Fatalf("%s: ValidUTF8(%q) = %v: %s", tt.name, text, got, tt.reason)
				}
			}
		}
	}
}

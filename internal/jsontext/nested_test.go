// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext_test

import (
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// TestDocumentAroundABorder: brackets are kept in words of 64, and which ones are
// open must survive any way across the border of one.
func TestDocumentAroundABorder(t *testing.T) {
	for _, depth := range []int{61, 62, 63, 64, 65, 126, 127, 128, 1022, 1023, 1024, 1025} {
		for _, tt := range []struct {
			name, inside, reason string
			want                 bool
		}{
			{"up and down", `[[],{}],{"a":[{}]},[{"a":{}},[]]`, "each closes what it opened", true},
			{"members", `{"a":[[1]],"b":{"c":{}},"d":[]}`, "names are wanted again", true},
			{"wrong bracket", `[[{"a":[]]}]`, "an object does not close as an array", false},
			{"no name", `{"a":[[]],1}`, "it is an object again", false},
			{"name in array", `[{"a":[]},"b":1]`, "it is an array again", false},
		} {
			for _, outside := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
				text := strings.Repeat(outside[0], depth) + "[" + tt.inside + "]" + strings.Repeat(outside[1], depth)
				if got := jsontext.Document([]byte(text), 2000); got != tt.want {
					t.Errorf("%s in %d of %s: Document = %v: %s", tt.name, depth, outside[0], got, tt.reason)
				}
			}
		}
	}
}

// TestSingleDigits: what stands behind them decides.
func TestSingleDigits(t *testing.T) {
	for _, tt := range []struct {
		text, reason string
		want         bool
	}{
		{`[0]`, "a bracket ends it", true},
		{`[0,1]`, "a comma ends it", true},
		{"[0 ,1\n]", "white space ends it", true},
		{`{"a":7}`, "a bracket ends it", true},
		{`[0.5,1e5,2E5]`, "there is more of it", true},
		{`[00]`, "a zero does not lead", false},
		{`[1-2]`, "numbers are no sums", false},
		{`[1+2]`, "numbers are no sums", false},
		{`[1"a"]`, "values are separated", false},
		{`[1`, "cut off", false},
		{`[1x]`, "not JSON", false},
	} {
		if got := jsontext.Document([]byte(tt.text), 1); got != tt.want {
			t.Errorf("Document(%q) = %v: %s", tt.text, got, tt.reason)
		}
	}
}

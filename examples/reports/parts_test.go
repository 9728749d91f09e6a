// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var partsOrder = &order{Title: `Größe (a\b)`, Rows: []row{{"north", 42}, {"süd", 0}, {"west", 21}}}

func TestParts(t *testing.T) {
	for part, want := range map[string]string{
		"summary": `Größe (a\b): 63 in 3 rows, 21.0 on average; most in north (42).`,
		"chart":   "north ########################################\nsüd   \nwest  ####################\n",
		"table":   "   name  amount\n  north      42\n    süd       0\n   west      21\n",
	} {
		if got := makers[part](partsOrder); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", part, got, want)
		}
	}
	for _, part := range partNames {
		if makers[part](&sample) == "" {
			t.Errorf("%s of the sample is empty", part)
		}
	}
}

// A reader of PDF finds the objects by the offsets in the table.
func TestPDF(t *testing.T) {
	text := pdf(partsOrder)
	if !strings.HasPrefix(text, "%PDF-1.4\n") || !strings.HasSuffix(text, "%%EOF\n") {
		t.Errorf("the PDF begins or ends otherwise:\n%s", text)
	}
	if want := `(Gr??e \(a\\b\): 63 in 3 rows, 21.0 on average; most in north \(42\).) Tj`; !strings.Contains(text, want) {
		t.Errorf("no %s in the PDF:\n%s", want, text)
	}
	start := regexp.MustCompile(`startxref\n(\d+)\n`).FindStringSubmatch(text)
	if start == nil || !strings.HasPrefix(text[number(t, start[1]):], "xref\n0 6\n") {
		t.Fatalf("startxref does not lead to the table:\n%s", text)
	}
	for i, m := range regexp.MustCompile(`(?m)^(\d{10}) 00000 n $`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(text[number(t, m[1]):], strconv.Itoa(i+1)+" 0 obj\n") {
			t.Errorf("there is no object %d at %s", i+1, m[1])
		}
	}
	stream := regexp.MustCompile(`(?s)/Length (\d+) >>\nstream\n(.*)\nendstream`).FindStringSubmatch(text)
	if stream == nil || len(stream[2]) != number(t, stream[1]) {
		t.Errorf("the stream has another length than it says: %q", stream)
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

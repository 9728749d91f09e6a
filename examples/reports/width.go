// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"unicode"

	eastasian "golang.org/x/text/width"
)

// width returns how many columns of a terminal s takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0 // it is drawn over the character before
	}
	switch eastasian.LookupRune(r).Kind() {
	case eastasian.EastAsianWide, eastasian.EastAsianFullwidth:
		return 2
	}
	return 1
}

// clip shortens s to n columns.
func clip(s string, n int) string {
	if width(s) <= n {
		return s
	}
	left := n - 1 // for the ellipsis
	for i, r := range s {
		if left -= runeWidth(r); left < 0 {
			s = s[:i]
			break
		}
	}
	if n < 1 {
		return ""
	}
	return s + "…"
}

func pad(s string, n int) string {
	s = clip(s, n)
	return s + strings.Repeat(" ", max(n-width(s), 0))
}

func padLeft(s string, n int) string {
	s = clip(s, n)
	return strings.Repeat(" ", max(n-width(s), 0)) + s
}

// cutPrefix splits s after prefix, or after as much of it as a clipped s has.
func cutPrefix(s, prefix string) (after, found string) {
	if after, ok := strings.CutPrefix(s, prefix); ok {
		return after, prefix
	}
	return "", s
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package jsontext reads and writes the text of JSON values (RFC 8259) in place: it
// finds where values begin and end and never builds them.
//
// The functions called Skip take a text and the position where something
// begins, and return the position behind it, or [Broken]. A text need not be
// valid UTF-8, but an accepted value is: a string that is not valid UTF-8 is refused,
// and outside strings JSON has only ASCII characters.
//
// No function recurses, so deep nesting needs no stack. No function allocates, unless
// its documentation says so.
package jsontext

// Broken is the position that a Skip function returns when what it was to skip
// is not there, is cut off, or breaks the grammar.
const Broken = -1

// Document reports whether text is one JSON object or array with nothing around
// it, not even white space, at most maxDepth levels deep.
func Document(text []byte, maxDepth int) bool {
	if len(text) < 2 {
		return false
	}
	// The last byte is checked first: it rejects most texts that only start like a
	// document.
	first, last := text[0], text[len(text)-1]
	if !(first == '{' && last == '}' || first == '[' && last == ']') {
		return false
	}
	return skipNested(text, 0, maxDepth) == len(text)
}

// SkipSpace skips insignificant white space, if there is any. It also takes
// [Broken] for a position, and returns it.
func SkipSpace(text []byte, pos int) int {
	// Usually there is none: small enough to be inlined.
	if uint(pos) < uint(len(text)) && text[pos] <= ' ' {
		return skipSpaces(text, pos)
	}
	return pos
}

// SkipValue skips one value, however deep; white space in front of it is not
// skipped. Beyond a depth of 1,024 it allocates: one bit for each level.
func SkipValue(text []byte, pos int) int {
	if pos >= len(text) {
		return Broken
	}
	switch text[pos] {
	case '{', '[':
		return skipNested(text, pos, anyDepth)
	case '"':
		end, _ := SkipString(text, pos)
		return end
	default:
		return skipScalar(text, pos)
	}
}

func skipSpaces(text []byte, pos int) int {
	for pos < len(text) && (text[pos] == ' ' || text[pos] == '\n' || text[pos] == '\t' || text[pos] == '\r') {
		pos++
	}
	return pos
}

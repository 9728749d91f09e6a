// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package jsontext finds where JSON values (RFC 8259) begin and end, without decoding them,
// and reads and writes the text of JSON strings.
//
// The Skip functions take a text and the position where a value begins, and return the
// position after the value, or [Broken]. A text need not be valid UTF-8, but a value that is
// accepted is valid: strings are checked, and all else in JSON is ASCII.
//
// No function recurses, so deep nesting needs no stack. No function allocates, unless its
// comment says so.
package jsontext

// Broken is the position that a Skip function returns if the value is missing, is cut off,
// or has a syntax error.
const Broken = -1

// Document reports whether text is exactly one JSON object or array, without white space
// around it, at most maxDepth levels deep, and without an escape that is a lone surrogate.
// RFC 8259 allows these, but some parsers refuse the whole text for one.
func Document(text []byte, maxDepth int) bool {
	if len(text) < 2 {
		return false
	}
	// The last byte is checked first, because it rejects most texts that start like a
	// document but are none.
	first, last := text[0], text[len(text)-1]
	if !(first == '{' && last == '}' || first == '[' && last == ']') {
		return false
	}
	end, has := skipNested(text, 0, maxDepth)
	if end != len(text) || has != surrogates {
		return end == len(text)
	}
	// Outside of its strings, a document has no backslash: it can be read like one string.
	_, paired := UnquotedLen(text)
	return paired
}

// SkipSpace skips insignificant white space, if there is any. If pos is [Broken], it returns
// Broken.
func SkipSpace(text []byte, pos int) int {
	// Usually there is none. This function is small enough to be inlined.
	if uint(pos) < uint(len(text)) && text[pos] <= ' ' {
		return skipSpaces(text, pos)
	}
	return pos
}

// SkipValue skips one value of any depth. It does not skip white space in front of the
// value. It allocates one bit for each level beyond a depth of 1,024.
func SkipValue(text []byte, pos int) int {
	if pos >= len(text) {
		return Broken
	}
	switch text[pos] {
	case '{', '[':
		end, _ := skipNested(text, pos, anyDepth)
		return end
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

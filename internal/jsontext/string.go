// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// SkipString skips a string, including its quotes, and reports whether it has escapes. It
// checks the syntax of escapes, but not whether surrogates form pairs; see [UnquotedLen].
func SkipString(text []byte, pos int) (end int, escaped bool) {
	end, has := skipString(text, pos)
	return end, has != noEscapes
}

// escapes says which escapes there are.
type escapes int

const (
	noEscapes escapes = iota
	noSurrogates
	surrogates // and others, perhaps
)

func skipString(text []byte, pos int) (end int, has escapes) {
	if pos >= len(text) || text[pos] != '"' {
		return Broken, noEscapes
	}
	pos++
	// Most strings are names: short, plain and ASCII. For these, a loop over bytes is
	// faster than one over words, since the processor predicts its end.
	at := pos
	for ; at < len(text) && at < pos+8; at++ {
		switch inString[text[at]] {
		case plainASCII:
			continue
		case quote:
			return at + 1, noEscapes
		}
		return skipLongString(text, pos)
	}
	for ; at+8 <= len(text) && at < pos+56; at += 8 {
		word := binary.LittleEndian.Uint64(text[at:])
		found := notPlain(word)
		if upTo := found ^ (found - 1); word&upTo&highBits != 0 { // all of the word if nothing was found
			break
		}
		if found != 0 {
			if at += bits.TrailingZeros64(found) / 8; text[at] == '"' {
				return at + 1, noEscapes
			}
			break
		}
	}
	return skipLongString(text, pos)
}

// inString holds the class of each byte within a string.
var inString = func() (class [256]uint8) {
	for c := range class {
		if !isPlain(byte(c)) || c >= utf8.RuneSelf {
			class[c] = notSimple
		}
	}
	class['"'] = quote
	return class
}()

const (
	plainASCII = iota
	quote
	notSimple
)

// skipLongString does the same as skipString for any string. pos is after the opening quote.
func skipLongString(text []byte, pos int) (end int, has escapes) {
	start, allASCII := pos, true
	for {
		var ascii bool
		pos, ascii = skipPlain(text, pos)
		allASCII = allASCII && ascii
		if pos == len(text) {
			return Broken, has
		}
		switch text[pos] {
		case '"':
			if !allASCII && !utf8.Valid(text[start:pos]) {
				return Broken, has
			}
			return pos + 1, has
		case '\\':
			var found escapes
			pos, found = skipEscape(text, pos)
			has = max(has, found)
			if pos == Broken {
				return Broken, has
			}
		default: // a control character
			return Broken, has
		}
	}
}

// UnquotedLen returns the length of quoted without escapes. quoted is a string that SkipString
// has skipped, without the quotes. ok is false if it has a lone surrogate, which UTF-8
// cannot represent.
func UnquotedLen(quoted []byte) (n int, ok bool) {
	for pos := 0; pos < len(quoted); {
		if quoted[pos] != '\\' {
			// SkipString has checked the bytes outside of escapes.
			next := indexBackslash(quoted, pos)
			n += next - pos
			pos = next
			continue
		}
		var r rune
		if r, pos = unescape(quoted, pos); r == loneSurrogate {
			return 0, false
		}
		n += utf8.RuneLen(r)
	}
	return n, true
}

// AppendUnquoted appends quoted without escapes. UnquotedLen must accept quoted.
func AppendUnquoted(b, quoted []byte) []byte {
	for pos := 0; pos < len(quoted); {
		if quoted[pos] != '\\' {
			next := indexBackslash(quoted, pos)
			b = append(b, quoted[pos:next]...)
			pos = next
			continue
		}
		var r rune
		r, pos = unescape(quoted, pos)
		b = utf8.AppendRune(b, r)
	}
	return b
}

// EqualUnquoted reports whether quoted without escapes is equal to s.
func EqualUnquoted(quoted []byte, s string) bool {
	for pos := 0; pos < len(quoted); {
		if s == "" {
			return false
		}
		if quoted[pos] != '\\' {
			if quoted[pos] != s[0] {
				return false
			}
			pos, s = pos+1, s[1:]
			continue
		}
		var r rune
		r, pos = unescape(quoted, pos)
		first, size := utf8.DecodeRuneInString(s)
		if r != first || size != utf8.RuneLen(r) { // an invalid byte of s is U+FFFD, too, but with size 1
			return false
		}
		s = s[size:]
	}
	return s == ""
}

// loneSurrogate is the result of unescape for a lone surrogate. It is not a valid rune.
const loneSurrogate = -1

// skipEscape skips the escape that begins at pos.
func skipEscape(text []byte, pos int) (end int, has escapes) {
	if pos+1 >= len(text) {
		return Broken, noEscapes
	}
	switch text[pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return pos + 2, noSurrogates
	case 'u':
		switch r, ok := hex4(text, pos+2); {
		case ok && utf16.IsSurrogate(r):
			return pos + 6, surrogates
		case ok:
			return pos + 6, noSurrogates
		}
	}
	return Broken, noEscapes
}

// unescape returns the character of the escape at pos, and the position after the escape.
// SkipString has checked the syntax.
func unescape(quoted []byte, pos int) (r rune, end int) {
	switch c := quoted[pos+1]; c {
	case 'b':
		return '\b', pos + 2
	case 'f':
		return '\f', pos + 2
	case 'n':
		return '\n', pos + 2
	case 'r':
		return '\r', pos + 2
	case 't':
		return '\t', pos + 2
	case 'u':
	default: // quote, backslash, slash
		return rune(c), pos + 2
	}
	r, _ = hex4(quoted, pos+2)
	pos += 6
	if !utf16.IsSurrogate(r) {
		return r, pos
	}
	if pos+1 < len(quoted) && quoted[pos] == '\\' && quoted[pos+1] == 'u' {
		low, _ := hex4(quoted, pos+2)
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, pos + 6
		}
	}
	return loneSurrogate, pos
}

// hex4 reads the four hexadecimal digits at pos.
func hex4(text []byte, pos int) (r rune, ok bool) {
	if pos+4 > len(text) {
		return 0, false
	}
	for _, c := range text[pos : pos+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

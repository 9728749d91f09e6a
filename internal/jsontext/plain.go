// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A plain byte stands for itself in a JSON string: it is no quote, no backslash
// and no control character. Most strings have no others, so skipping them is
// what this package does most of the time.

// Text reports whether text is valid UTF-8, and whether it may stand between the quotes
// of a string as it is, without any escape.
func Text(text []byte) (plain, valid bool) {
	end, ascii := skipPlain(text, 0)
	plain = end == len(text)
	valid = plain && ascii || utf8.Valid(text)
	return plain && valid, valid
}

// skipPlain returns the position of the first byte from pos on that is not
// plain, or the length of text. ascii says that it saw no byte outside ASCII; it
// may say false because of one behind the position that it returns.
func skipPlain(text []byte, pos int) (end int, ascii bool) {
	var seen uint64
	// Eight bytes at a time for short strings, for those with many escapes, and
	// for the last bytes of long ones.
	for words := 0; pos+8 <= len(text); pos += 8 {
		if words++; words == 8 && len(text)-pos >= longRun {
			var longASCII bool
			if pos, longASCII = skipPlainLong(text, pos); !longASCII {
				seen = highBits
			}
			if pos+8 > len(text) {
				break
			}
		}
		word := binary.LittleEndian.Uint64(text[pos:])
		seen |= word
		if found := notPlain(word); found != 0 {
			return pos + bits.TrailingZeros64(found)/8, seen&highBits == 0
		}
	}
	for ; pos < len(text); pos++ {
		seen |= uint64(text[pos])
		if !isPlain(text[pos]) {
			break
		}
	}
	return pos, seen&highBits == 0
}

const (
	// longRun is how many bytes must lie ahead for skipPlainLong to be worth it.
	longRun = 128
	// window is how many bytes it looks at in turn.
	window = 2048
)

// skipPlainLong skips as many plain bytes as is easy: all but a few of a long
// run. To look for the quote and the backslash it uses what package bytes has in
// assembly, which leaves one test for each byte; the windows keep a far quote
// from being looked for again behind each backslash.
func skipPlainLong(text []byte, pos int) (end int, ascii bool) {
	ascii = true
	for {
		ahead := text[pos:min(pos+window, len(text))]
		if i := bytes.IndexByte(ahead, '"'); i >= 0 {
			ahead = ahead[:i]
		}
		if i := bytes.IndexByte(ahead, '\\'); i >= 0 {
			ahead = ahead[:i]
		}
		n, aheadASCII := skipNoControl(ahead)
		ascii = ascii && aheadASCII
		if pos += n; n < window {
			return pos, ascii
		}
	}
}

// skipNoControl returns how many bytes of text are easily known to be no control
// characters.
func skipNoControl(text []byte) (n int, ascii bool) {
	var seen, control uint64
	for ; n+32 <= len(text); n += 32 {
		four := text[n : n+32 : n+32]
		a, b := binary.LittleEndian.Uint64(four), binary.LittleEndian.Uint64(four[8:])
		c, d := binary.LittleEndian.Uint64(four[16:]), binary.LittleEndian.Uint64(four[24:])
		if all := a | b | c | d; all&highBits == 0 {
			// The test without its last step, which is for the others.
			control = (a - spaces) | (b - spaces) | (c - spaces) | (d - spaces)
		} else {
			seen |= all
			control = belowSpace(a) | belowSpace(b) | belowSpace(c) | belowSpace(d)
		}
		if control&highBits != 0 {
			break
		}
	}
	return n, seen&highBits == 0
}

func isPlain(c byte) bool { return c >= ' ' && c != '"' && c != '\\' }

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
	spaces   = ' ' * eachByte
)

// notPlain has the high bit set in the byte of word that comes first in memory
// among those that are not plain, and is 0 if there is none. Higher bytes may
// be wrong: the subtractions borrow from them.
func notPlain(word uint64) uint64 {
	// Flipping bit 1 moves the quote next to the control characters: one
	// comparison for both.
	quoteOrControl := (word ^ 0x02*eachByte) - 0x21*eachByte
	backslash := (word ^ '\\'*eachByte) - eachByte
	return (quoteOrControl | backslash) &^ word & highBits
}

// belowSpace does the same for control characters alone, in the high bits.
func belowSpace(word uint64) uint64 {
	return (word - spaces) &^ word
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A plain byte stands for itself in a JSON string: it is not a quote, a backslash or a
// control character. Most strings have only plain bytes, so this package spends most of its
// time on skipping them.

// Text reports whether text is valid UTF-8, and whether it is plain: then it can be written
// between the quotes of a string without escapes.
func Text(text []byte) (plain, valid bool) {
	end, ascii := skipPlain(text, 0)
	plain = end == len(text)
	valid = plain && ascii || utf8.Valid(text)
	return plain && valid, valid
}

// skipPlain returns the position of the first byte from pos on that is not plain, or the
// length of text. If ascii is true, the bytes up to there are ASCII. It may be false although
// they are, because of a byte after that position.
func skipPlain(text []byte, pos int) (end int, ascii bool) {
	var seen uint64
	// Read eight bytes at a time, which is best for short strings, for strings with many
	// escapes, and for the last bytes of long strings.
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
	// longRun is the number of bytes from which on skipPlainLong is faster.
	longRun = 128
	// window is the number of bytes that skipPlainLong searches at a time.
	window = 2048
)

// skipPlainLong skips most plain bytes of a long run, but may leave some at its end. It
// searches the quote and the backslash with package bytes, which uses assembly, so that only
// control characters are left to test for. It searches in windows, so that it does not search
// the same distant quote again after each backslash.
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

// skipNoControl returns the number of bytes of text before the first control character,
// rounded down to a multiple of 32.
func skipNoControl(text []byte) (n int, ascii bool) {
	var seen, control uint64
	for ; n+32 <= len(text); n += 32 {
		four := text[n : n+32 : n+32]
		a, b := binary.LittleEndian.Uint64(four), binary.LittleEndian.Uint64(four[8:])
		c, d := binary.LittleEndian.Uint64(four[16:]), binary.LittleEndian.Uint64(four[24:])
		if all := a | b | c | d; all&highBits == 0 {
			// belowSpace without its last step, which only other bytes than ASCII need.
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

// notPlain returns a word whose lowest high bit is in the first byte of word that is not
// plain, or 0 if all are plain. Bytes after the first one may be wrong, because the
// subtractions borrow from them.
func notPlain(word uint64) uint64 {
	// Flipping bit 1 moves the quote next to the control characters, so that one
	// comparison finds both.
	quoteOrControl := (word ^ 0x02*eachByte) - 0x21*eachByte
	backslash := (word ^ '\\'*eachByte) - eachByte
	return (quoteOrControl | backslash) &^ word & highBits
}

// belowSpace does the same for control characters only. Bits other than the high bits have no
// meaning.
func belowSpace(word uint64) uint64 {
	return (word - spaces) &^ word
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// AppendQuoted appends s as a JSON string. s must be valid UTF-8. It escapes only what RFC
// 8259 requires: the quote, the backslash and the control characters below 0x20. It uses the
// short escapes, such as \n, if there are any.
func AppendQuoted(b, s []byte) []byte {
	b = append(slices.Grow(b, len(s)+len(`""`)), '"')
	for pos, run := 0, 0; ; {
		switch {
		case run >= 64 && len(s)-pos >= longRun:
			end, _ := skipPlainLong(s, pos)
			b = append(b, s[pos:end]...)
			pos, run = end, 0
		case len(s)-pos >= 8:
			// Copy the whole word, and then remove the bytes from the first one on that
			// is not plain.
			word := binary.LittleEndian.Uint64(s[pos:])
			b = binary.LittleEndian.AppendUint64(b, word)
			found := notPlain(word)
			if found == 0 {
				pos, run = pos+8, run+8
				continue
			}
			plain := bits.TrailingZeros64(found) / 8
			b = appendEscape(b[:len(b)-8+plain], s[pos+plain])
			pos, run = pos+plain+1, 0
		default:
			for _, c := range s[pos:] {
				if isPlain(c) {
					b = append(b, c)
				} else {
					b = appendEscape(b, c)
				}
			}
			return append(b, '"')
		}
	}
}

func appendEscape(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
	case '\b':
		c = 'b'
	case '\f':
		c = 'f'
	case '\n':
		c = 'n'
	case '\r':
		c = 'r'
	case '\t':
		c = 't'
	default:
		return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
	return append(b, '\\', c)
}

// indexBackslash returns the position of the next backslash from pos on, or the
// length of s.
func indexBackslash(s []byte, pos int) int {
	if i := bytes.IndexByte(s[pos:], '\\'); i >= 0 {
		return pos + i
	}
	return len(s)
}

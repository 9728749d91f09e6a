// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

import "encoding/binary"

// ValidUTF8 does what utf8.Valid does. It is faster where characters outside
// ASCII abound, because what it does next never depends on a guess of how long
// the next character is.
//
// It is an automaton whose state is a shift. The rows of utf8Next hold for one
// byte the state that follows each state, six bits each, at the place that the
// state is: one shift is one step.
func ValidUTF8(text []byte) bool {
	state := uint64(utf8Between)
	for ; len(text) >= 32; text = text[32:] {
		if state&63 == utf8Between && isASCII32(text) {
			continue
		}
		for b := text[:32]; len(b) >= 8; b = b[8:] { // twice as fast as byte by byte
			state = utf8Next[b[0]] >> (state & 63)
			state = utf8Next[b[1]] >> (state & 63)
			state = utf8Next[b[2]] >> (state & 63)
			state = utf8Next[b[3]] >> (state & 63)
			state = utf8Next[b[4]] >> (state & 63)
			state = utf8Next[b[5]] >> (state & 63)
			state = utf8Next[b[6]] >> (state & 63)
			state = utf8Next[b[7]] >> (state & 63)
		}
	}
	for _, c := range text {
		state = utf8Next[c] >> (state & 63)
	}
	return state&63 == utf8Between
}

// isASCII32 says whether the first 32 bytes of text are ASCII.
func isASCII32(text []byte) bool {
	_ = text[31]
	all := binary.LittleEndian.Uint64(text) | binary.LittleEndian.Uint64(text[8:]) |
		binary.LittleEndian.Uint64(text[16:]) | binary.LittleEndian.Uint64(text[24:])
	return all&highBits == 0
}

// What may follow. No state leads away from utf8Broken.
const (
	utf8Broken      = 6 * iota
	utf8Between     // a character
	utf8One         // the last byte of one
	utf8Two         // the last two
	utf8Three       // the last three
	utf8TwoHigh     // the last two, 0xa0 to 0xbf first: shorter forms exist below
	utf8TwoLow      // the last two, 0x80 to 0x9f first: surrogates are above
	utf8ThreeHigh   // the last three, 0x90 to 0xbf first: shorter forms exist below
	utf8ThreeLowest // the last three, 0x80 to 0x8f first: no character is above
)

var utf8Next = func() (next [256]uint64) {
	for _, step := range []struct {
		from        int
		first, last byte
		to          uint64
	}{
		{utf8Between, 0x00, 0x7f, utf8Between},
		{utf8Between, 0xc2, 0xdf, utf8One},
		{utf8Between, 0xe0, 0xe0, utf8TwoHigh},
		{utf8Between, 0xe1, 0xec, utf8Two},
		{utf8Between, 0xed, 0xed, utf8TwoLow},
		{utf8Between, 0xee, 0xef, utf8Two},
		{utf8Between, 0xf0, 0xf0, utf8ThreeHigh},
		{utf8Between, 0xf1, 0xf3, utf8Three},
		{utf8Between, 0xf4, 0xf4, utf8ThreeLowest},
		{utf8One, 0x80, 0xbf, utf8Between},
		{utf8Two, 0x80, 0xbf, utf8One},
		{utf8Three, 0x80, 0xbf, utf8Two},
		{utf8TwoHigh, 0xa0, 0xbf, utf8One},
		{utf8TwoLow, 0x80, 0x9f, utf8One},
		{utf8ThreeHigh, 0x90, 0xbf, utf8Two},
		{utf8ThreeLowest, 0x80, 0x8f, utf8Two},
	} {
		for c := int(step.first); c <= int(step.last); c++ {
			next[c] |= step.to << step.from
		}
	}
	return next
}()

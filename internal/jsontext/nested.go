// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

import "math"

const anyDepth = math.MaxInt

// skipNested skips the object or array that opens at pos. Each turn of its loop
// skips one value, or what opens one, with what stands in front of the next.
func skipNested(text []byte, pos, maxDepth int) int {
	var open nesting
	for pos < len(text) {
		switch c := text[pos]; {
		case c == '"':
			pos, _ = SkipString(text, pos)
		case c-'0' <= 9:
			pos = skipNumber(text, pos)
		case c == '{' || c == '[':
			if open.depth == maxDepth {
				return Broken
			}
			open.push(c == '{')
			pos = SkipSpace(text, pos+1)
			if pos < len(text) && text[pos] == c+2 { // in ASCII, a bracket closes two behind where it opens
				break
			}
			if open.object {
				pos = skipName(text, pos)
			}
			if pos == Broken {
				return Broken
			}
			continue
		default:
			pos = skipScalar(text, pos)
		}
		for {
			if pos = SkipSpace(text, pos); uint(pos) >= uint(len(text)) {
				return Broken
			}
			c := text[pos]
			if c == ',' {
				pos = SkipSpace(text, pos+1)
				if open.object {
					pos = skipName(text, pos)
				}
				if pos == Broken {
					return Broken
				}
				break
			}
			if open.object && c != '}' || !open.object && c != ']' {
				return Broken
			}
			pos++
			if open.pop(); open.depth == 0 {
				return pos
			}
		}
	}
	return Broken
}

// skipName skips the name of a member and the colon, up to the value.
func skipName(text []byte, pos int) int {
	if pos, _ = SkipString(text, pos); pos == Broken {
		return Broken
	}
	if pos = SkipSpace(text, pos); pos >= len(text) || text[pos] != ':' {
		return Broken
	}
	return SkipSpace(text, pos+1)
}

// nesting remembers which brackets are open: a stack of bits, in which an object
// is 1 and an array 0.
type nesting struct {
	depth  int
	object bool // what was opened last; meaningless when nothing is open
	outer  [16]uint64
	deeper []uint64 // what outer has no room for
}

func (n *nesting) push(object bool) {
	if n.depth > 0 {
		n.set(n.depth-1, n.object)
	}
	n.depth++
	n.object = object
}

func (n *nesting) pop() {
	n.depth--
	if n.depth > 0 {
		n.object = n.get(n.depth - 1)
	}
}

func (n *nesting) set(level int, object bool) {
	word, bit := uint(level)/64, uint64(1)<<(uint(level)%64)
	at := &n.outer[word%16]
	if word >= 16 {
		if word -= 16; word == uint(len(n.deeper)) {
			n.deeper = append(n.deeper, 0)
		}
		at = &n.deeper[word]
	}
	if *at &^= bit; object {
		*at |= bit
	}
}

func (n *nesting) get(level int) bool {
	word, bit := uint(level)/64, uint64(1)<<(uint(level)%64)
	if word < 16 {
		return n.outer[word]&bit != 0
	}
	return n.deeper[word-16]&bit != 0
}

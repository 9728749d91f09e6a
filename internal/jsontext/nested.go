// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

import "math"

const anyDepth = math.MaxInt

// skipNested skips the object or array that opens at pos. Each turn of its loop
// skips one value, or what opens one, with what stands in front of the next.
func skipNested(text []byte, pos, maxDepth int) int {
	var open nesting
	for uint(pos) < uint(len(text)) {
		switch c := text[pos]; {
		case c == '"':
			pos, _ = SkipString(text, pos)
		case c-'0' <= 9:
			if next := pos + 1; next < len(text) && !inNumber[text[next]] {
				pos = next // a single digit: common, and whether it is 0 cannot be guessed
			} else {
				pos = skipNumber(text, pos)
			}
		case c == '{' || c == '[':
			if open.depth == maxDepth {
				return Broken
			}
			pos = SkipSpace(text, pos+1)
			if uint(pos) < uint(len(text)) && text[pos] == c+2 { // in ASCII, a bracket closes two behind where it opens
				pos++ // nothing in it
				if open.depth == 0 {
					return pos
				}
				break
			}
			open.push(c == '{')
			if open.isObject() {
				pos = skipName(text, pos)
			}
			continue
		default:
			pos = skipScalar(text, pos)
		}
		// What closes here, and a comma.
		for {
			if pos = SkipSpace(text, pos); uint(pos) >= uint(len(text)) {
				return Broken
			}
			c := text[pos]
			pos++
			if c == ',' {
				pos = SkipSpace(text, pos)
				if open.isObject() {
					pos = skipName(text, pos)
				}
				break
			}
			if c != open.closing() {
				return Broken
			}
			if open.pop(); open.depth == 0 {
				return pos
			}
		}
	}
	return Broken
}

// skipName skips the name of a member and the colon, up to the value.
func skipName(text []byte, pos int) int {
	if pos, _ = SkipString(text, pos); uint(pos) < uint(len(text)) && text[pos] != ':' {
		pos = SkipSpace(text, pos)
	}
	if uint(pos) >= uint(len(text)) || text[pos] != ':' {
		return Broken
	}
	return SkipSpace(text, pos+1)
}

// nesting remembers which brackets are open: a stack of bits, in which an object
// is 1 and an array 0.
type nesting struct {
	depth int
	inner uint64 // the last 64 levels or fewer, the innermost lowest
	outer [15]uint64
	more  []uint64 // what outer has no room for
}

func (n *nesting) isObject() bool { return n.inner&1 != 0 }

// closing is what closes the innermost bracket.
func (n *nesting) closing() byte {
	return ']' + byte(n.inner&1)*('}'-']')
}

func (n *nesting) push(object bool) {
	if n.depth%64 == 0 && n.depth > 0 {
		n.save()
	}
	n.inner <<= 1
	if object {
		n.inner |= 1
	}
	n.depth++
}

func (n *nesting) pop() {
	n.inner >>= 1
	n.depth--
	if n.depth%64 == 0 && n.depth > 0 {
		n.restore()
	}
}

// save puts a full inner away, and restore brings the last one back.
func (n *nesting) save() {
	if word := n.depth/64 - 1; word < len(n.outer) {
		n.outer[word] = n.inner
	} else {
		n.more = append(n.more, n.inner)
	}
}

func (n *nesting) restore() {
	if word := n.depth/64 - 1; word < len(n.outer) {
		n.inner = n.outer[word]
	} else {
		last := len(n.more) - 1
		n.inner, n.more = n.more[last], n.more[:last]
	}
}

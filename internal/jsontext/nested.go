// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

import "math"

const anyDepth = math.MaxInt

// skipNested skips the object or array that begins at pos, and says which escapes its strings
// have. Each iteration of its loop skips one value or one opening bracket, and everything up to
// the next value.
func skipNested(text []byte, pos, maxDepth int) (end int, has escapes) {
	var open nesting
	var found escapes
	for uint(pos) < uint(len(text)) {
		switch c := text[pos]; {
		case c == '"':
			pos, found = skipString(text, pos)
			has = max(has, found)
		case c-'0' <= 9:
			if next := pos + 1; next < len(text) && !inNumber[text[next]] {
				pos = next // a single digit: common, and faster than skipNumber
			} else {
				pos = skipNumber(text, pos)
			}
		case c == '{' || c == '[':
			if open.depth == maxDepth {
				return Broken, has
			}
			pos = SkipSpace(text, pos+1)
			if uint(pos) < uint(len(text)) && text[pos] == c+2 { // in ASCII, the closing bracket is the opening one plus 2
				pos++ // it is empty
				if open.depth == 0 {
					return pos, has
				}
				break
			}
			open.push(c == '{')
			if open.isObject() {
				pos, found = skipName(text, pos)
				has = max(has, found)
			}
			continue
		default:
			pos = skipScalar(text, pos)
		}
		// Skip closing brackets, and a comma.
		for {
			if pos = SkipSpace(text, pos); uint(pos) >= uint(len(text)) {
				return Broken, has
			}
			c := text[pos]
			pos++
			if c == ',' {
				pos = SkipSpace(text, pos)
				if open.isObject() {
					pos, found = skipName(text, pos)
					has = max(has, found)
				}
				break
			}
			if c != open.closing() {
				return Broken, has
			}
			if open.pop(); open.depth == 0 {
				return pos, has
			}
		}
	}
	return Broken, has
}

// skipName skips the name of a member, the colon, and white space, up to the value.
func skipName(text []byte, pos int) (end int, has escapes) {
	if pos, has = skipString(text, pos); uint(pos) < uint(len(text)) && text[pos] != ':' {
		pos = SkipSpace(text, pos)
	}
	if uint(pos) >= uint(len(text)) || text[pos] != ':' {
		return Broken, has
	}
	return SkipSpace(text, pos+1), has
}

// nesting is the stack of open brackets. It has one bit for each level: 1 for an object, and
// 0 for an array.
type nesting struct {
	depth int
	inner uint64     // at most 64 levels, the innermost in the lowest bit
	outer [15]uint64 // the levels outside of inner
	more  []uint64   // the levels for which outer has no room
}

func (n *nesting) isObject() bool { return n.inner&1 != 0 }

// closing returns the bracket that closes the innermost level.
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

// save stores inner, which is full, and restore loads the last one that was stored.
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

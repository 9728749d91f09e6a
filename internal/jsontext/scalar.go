// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext

// skipScalar skips a number, true, false or null.
func skipScalar(text []byte, pos int) int {
	if pos >= len(text) {
		return Broken
	}
	switch text[pos] {
	case 't':
		return skipLiteral(text, pos, "true")
	case 'f':
		return skipLiteral(text, pos, "false")
	case 'n':
		return skipLiteral(text, pos, "null")
	default:
		return skipNumber(text, pos)
	}
}

func skipLiteral(text []byte, pos int, literal string) int {
	end := pos + len(literal)
	if end > len(text) || string(text[pos:end]) != literal {
		return Broken
	}
	return end
}

func skipNumber(text []byte, pos int) int {
	if text[pos] == '-' {
		pos++
	}
	switch {
	case pos < len(text) && text[pos] == '0':
		pos++
	default:
		if pos = skipDigits(text, pos); pos == Broken {
			return Broken
		}
	}
	if pos < len(text) && text[pos] == '.' {
		if pos = skipDigits(text, pos+1); pos == Broken {
			return Broken
		}
	}
	if pos < len(text) && text[pos]|0x20 == 'e' {
		pos++
		if pos < len(text) && (text[pos] == '+' || text[pos] == '-') {
			pos++
		}
		return skipDigits(text, pos)
	}
	return pos
}

// inNumber holds the bytes that may follow a digit within a number.
var inNumber = [256]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'.': true, 'e': true, 'E': true,
}

// skipDigits skips one digit or more.
func skipDigits(text []byte, pos int) int {
	start := pos
	for pos < len(text) && text[pos]-'0' <= 9 {
		pos++
	}
	if pos == start {
		return Broken
	}
	return pos
}

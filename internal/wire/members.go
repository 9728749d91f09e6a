// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"strings"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// members reads the members of a message, and records the positions of those that matter.
type members struct {
	message string
	text    []byte   // the bytes of message
	names   []string // of the propagation fields of objects that are no envelopes

	markers int    // how many there are
	marker  string // the value of the last one, as JSON text

	payloads    int        // how many there are
	content     stringText // the value of the last one, if it is a string
	value       string     // the value of the last one, as JSON text
	contentKind member     // of the last one: memberPayload or memberPayloadBase64
	isString    bool       // the value of the last one is a string

	found      foundFields
	accounting foundAccounting
}

// stringText is the position of a JSON string in the message, without its quotes.
type stringText struct {
	start, end int
	escaped    bool
}

// front reads the propagation fields of an envelope that begins with version1 and has them
// next, as [Writer] writes it, and returns the position after them. It returns jsontext.Broken
// if the message is not a JSON object.
func (m *members) front() int {
	m.markers, m.marker = 1, "1"
	pos := len(version1)
	for strings.HasPrefix(m.message[pos:], `,"`) {
		name, nameEnd := m.stringAt(pos + 1)
		if nameEnd == jsontext.Broken {
			return jsontext.Broken
		}
		kind := m.memberOf(name)
		if !kind.isField() || !strings.HasPrefix(m.message[nameEnd:], `:"`) {
			return pos
		}
		value, end := m.stringAt(nameEnd + 1)
		if end == jsontext.Broken {
			return jsontext.Broken
		}
		m.note(kind, pos+1, name, value)
		pos = end
	}
	return pos
}

// object reads the members of the message, and reports whether the message is a JSON object.
// If front and frontAccounting have read some of them, it goes on at pos.
func (m *members) object(pos int) bool {
	if pos == 0 {
		pos = jsontext.SkipSpace(m.text, 0)
		if !m.at(pos, '{') {
			return false
		}
		if pos = jsontext.SkipSpace(m.text, pos+1); !m.at(pos, '}') {
			pos = m.member(pos)
		}
	}
	for pos != jsontext.Broken {
		pos = jsontext.SkipSpace(m.text, pos)
		switch {
		case m.at(pos, ','):
			pos = m.member(jsontext.SkipSpace(m.text, pos+1))
		case m.at(pos, '}'):
			return jsontext.SkipSpace(m.text, pos+1) == len(m.text)
		default:
			return false
		}
	}
	return false
}

func (m *members) at(pos int, c byte) bool {
	return pos < len(m.text) && m.text[pos] == c
}

// member reads one member and returns the position after it.
func (m *members) member(pos int) int {
	name, end := m.stringAt(pos)
	if end == jsontext.Broken {
		return jsontext.Broken
	}
	start := jsontext.SkipSpace(m.text, end)
	if !m.at(start, ':') {
		return jsontext.Broken
	}
	start = jsontext.SkipSpace(m.text, start+1)
	var text stringText
	isString := m.at(start, '"')
	if isString {
		text, end = m.stringAt(start)
	} else {
		end = jsontext.SkipValue(m.text, start)
	}
	if end == jsontext.Broken {
		return jsontext.Broken
	}
	switch kind := m.memberOf(name); {
	case kind == memberMarker:
		m.markers++
		m.marker = m.message[start:end]
	case kind == memberPayload || kind == memberPayloadBase64:
		m.payloads++
		m.contentKind, m.isString = kind, isString
		m.value = m.message[start:end]
		m.content = text
	case kind.isAccounting():
		m.noteAccounting(kind, m.message[start:end], text, isString)
	case kind.isField() && isString:
		m.note(kind, pos, name, text)
	}
	return end
}

// stringAt returns the string at pos, and the position after it or jsontext.Broken.
func (m *members) stringAt(pos int) (s stringText, end int) {
	end, escaped := jsontext.SkipString(m.text, pos)
	return stringText{pos + 1, end - 1, escaped}, end
}

// memberOf returns the member with the given name.
func (m *members) memberOf(name stringText) member {
	if !name.escaped {
		return memberNamed(m.message[name.start:name.end])
	}
	var room [longestMember]byte
	quoted := m.text[name.start:name.end]
	if n, ok := jsontext.UnquotedLen(quoted); !ok || n > len(room) {
		return memberOther
	}
	return memberNamed(string(jsontext.AppendUnquoted(room[:0], quoted)))
}

// plain returns s, which must be well-formed, without escapes. If it has any, plain appends to b.
func (m *members) plain(b []byte, s stringText) []byte {
	text := m.text[s.start:s.end]
	if !s.escaped {
		return text
	}
	return jsontext.AppendUnquoted(b, text)
}

// unquotedLen returns the length of s without escapes. ok is false if s has a lone surrogate.
func (m *members) unquotedLen(s stringText) (n int, ok bool) {
	if !s.escaped {
		return s.end - s.start, true
	}
	return jsontext.UnquotedLen(m.text[s.start:s.end])
}

// unquote returns s without escapes. ok is false if s has a lone surrogate.
func (m *members) unquote(s stringText) (unquoted string, ok bool) {
	if !s.escaped {
		return m.detach(m.message[s.start:s.end]), true
	}
	n, ok := m.unquotedLen(s)
	if !ok {
		return "", false
	}
	return ownedString(jsontext.AppendUnquoted(make([]byte, 0, n), m.text[s.start:s.end])), true
}

// maxPinned is the size of the largest message that a substring may keep in memory no matter
// how short it is, in bytes.
const maxPinned = 1 << 10

// pinnedBy reports whether a substring of n bytes would keep a message in memory that is much
// larger.
func (m *members) pinnedBy(n int) bool {
	return len(m.message) > maxPinned && n < len(m.message)/4
}

// detach returns s, which is a substring of the message, or a copy of it. An application may
// keep a payload or a field for longer than the message, and must not keep megabytes for a
// few bytes.
func (m *members) detach(s string) string {
	if m.pinnedBy(len(s)) {
		return strings.Clone(s)
	}
	return s
}

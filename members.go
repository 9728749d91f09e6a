// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"strings"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// member is a member of an envelope that is not a propagation field.
type member int

const (
	memberOther member = iota // any other name
	memberMarker
	memberSize
	memberPayload
	memberPayloadBase64
	memberTime
	memberSource
	memberSequence
)

func memberNamed(name string) member {
	switch name {
	case "tracedpubsub":
		return memberMarker
	case "size":
		return memberSize
	case "payload":
		return memberPayload
	case "payload_base64":
		return memberPayloadBase64
	case "ts":
		return memberTime
	case "src":
		return memberSource
	case "seq":
		return memberSequence
	}
	return memberOther
}

// longestMember is the length of the longest of these names.
const longestMember = len("payload_base64")

// members remembers of a message where the members are that matter.
type members struct {
	message string
	text    []byte // the same
	names   []string

	markers int
	marker  string // the text of the last one's value

	payloads    int
	content     stringText // the last payload member's value, if it is a string
	value       string     // its text, if it is not
	contentKind member     // memberPayload or memberPayloadBase64
	isString    bool

	// The carrier members, by their place in names: see field.
	few  [8]fieldText // enough for the propagators of OpenTelemetry, several together too
	more []fieldText
}

// stringText is where a JSON string is in the message, without its quotes.
type stringText struct {
	start, end int
	escaped    bool
}

type fieldText struct {
	stringText // of the last one
	count      int
}

// front reads the string members in front of everything else in an envelope of
// canonical bytes, and returns the position behind them. A message of which it
// returns jsontext.Broken is no JSON object.
func (m *members) front() int {
	m.markers, m.marker = 1, "1"
	pos := len(version1)
	for strings.HasPrefix(m.message[pos:], `,"`) {
		nameEnd, escaped := jsontext.SkipString(m.text, pos+1)
		if nameEnd == jsontext.Broken {
			return jsontext.Broken
		}
		name := stringText{pos + 2, nameEnd - 1, escaped}
		if m.memberOf(name) != memberOther || !strings.HasPrefix(m.message[nameEnd:], `:"`) {
			return pos
		}
		start := nameEnd + 1
		end, escaped := jsontext.SkipString(m.text, start)
		if end == jsontext.Broken {
			return jsontext.Broken
		}
		m.noteField(name, stringText{start + 1, end - 1, escaped})
		pos = end
	}
	return pos
}

// object reads the members of the JSON object that the message should be, and
// says whether it is one. If front has read some, it goes on behind them.
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

// member reads one member and returns the position behind it.
func (m *members) member(pos int) int {
	nameEnd, escaped := jsontext.SkipString(m.text, pos)
	if nameEnd == jsontext.Broken {
		return jsontext.Broken
	}
	name := stringText{pos + 1, nameEnd - 1, escaped}
	pos = jsontext.SkipSpace(m.text, nameEnd)
	if !m.at(pos, ':') {
		return jsontext.Broken
	}
	start := jsontext.SkipSpace(m.text, pos+1)
	end, escaped, isString := 0, false, m.at(start, '"')
	if isString {
		end, escaped = jsontext.SkipString(m.text, start)
	} else {
		end = jsontext.SkipValue(m.text, start)
	}
	if end == jsontext.Broken {
		return jsontext.Broken
	}
	switch kind := m.memberOf(name); kind {
	case memberMarker:
		m.markers++
		m.marker = m.message[start:end]
	case memberPayload, memberPayloadBase64:
		m.payloads++
		m.contentKind, m.isString = kind, isString
		m.value = m.message[start:end]
		m.content = stringText{start + 1, end - 1, escaped}
	case memberOther:
		if isString {
			m.noteField(name, stringText{start + 1, end - 1, escaped})
		}
	}
	return end
}

// memberOf says which member name is that of.
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

// noteField remembers a string member if it is a carrier member.
func (m *members) noteField(name, value stringText) {
	for i, field := range m.names {
		if m.equal(name, field) {
			f := m.field(i)
			f.count++
			f.stringText = value
			return
		}
	}
}

func (m *members) field(i int) *fieldText {
	if i < len(m.few) {
		return &m.few[i]
	}
	return &m.more[i-len(m.few)]
}

func (m *members) equal(name stringText, s string) bool {
	if !name.escaped {
		return m.message[name.start:name.end] == s
	}
	return jsontext.EqualUnquoted(m.text[name.start:name.end], s)
}

// unquotedLen is the length of the string that s stands for, if there is one.
func (m *members) unquotedLen(s stringText) (n int, ok bool) {
	if !s.escaped {
		return s.end - s.start, true
	}
	return jsontext.UnquotedLen(m.text[s.start:s.end])
}

// unquote returns the string that s stands for, if there is one.
func (m *members) unquote(s stringText) (unquoted string, ok bool) {
	if !s.escaped {
		return m.message[s.start:s.end], true
	}
	n, ok := m.unquotedLen(s)
	if !ok {
		return "", false
	}
	return ownedString(jsontext.AppendUnquoted(make([]byte, 0, n), m.text[s.start:s.end])), true
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"encoding/base64"
	"strings"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

const (
	// claim is how a message begins that says to be an envelope.
	claim = `{"tracedpubsub":`
	// version1 is how one of version 1 begins, if it has canonical bytes.
	version1 = claim + "1"
)

// decode takes a message apart by the first rule that fits, R0 to R5 of the wire
// format, and puts the members called like one of fields into c, which must be
// empty. Where no rule finds a payload in the message, the message is the
// payload.
//
// It reads the message once, and the payload of a canonical document not at all.
// Payload and fields are substrings of the message where they have no escapes.
func decode(message string, fields []string, c *Carrier) (payload string, err error) {
	m := members{message: message, text: viewBytes(message), names: fields}
	m.more = make([]fieldText, max(0, len(fields)-len(m.few)))
	claims := strings.HasPrefix(message, claim)

	pos := 0
	if strings.HasPrefix(message, version1+`,"`) {
		pos = m.front()
		if document, ok := m.document(pos); ok { // R0
			return document, m.fill(c)
		}
	}
	isObject := pos != jsontext.Broken && m.object(pos)
	if isObject {
		if payload, ok := m.payload(); ok { // R1
			return payload, m.fill(c)
		}
		if m.isLaterVersion() { // R3
			_ = m.fill(c) // the version is the greater trouble
			return message, ErrUnsupportedVersion
		}
	}
	switch {
	case claims: // R2
		return message, ErrMalformedEnvelope
	case isObject: // R4, or R5 if it fills in nothing
		return message, m.fill(c)
	default: // R5
		return message, nil
	}
}

// document returns the payload of an envelope of canonical bytes, which the size
// in front of it says to reach up to the last bracket; pos is behind what front
// has read.
func (m *members) document(pos int) (payload string, ok bool) {
	if pos == jsontext.Broken {
		return "", false
	}
	rest := m.message[pos:]
	if _, after, ok := cutNumber(rest, `,"ts":`); ok {
		rest = after
	}
	if strings.HasPrefix(rest, `,"src":"`) {
		start := len(m.message) - len(rest) + len(`,"src":`)
		end, _ := jsontext.SkipString(m.text, start)
		if end == jsontext.Broken {
			return "", false
		}
		rest = m.message[end:]
	}
	if _, after, ok := cutNumber(rest, `,"seq":`); ok {
		rest = after
	}
	size, rest, ok := cutNumber(rest, `,"size":`)
	if !ok {
		return "", false
	}
	rest, ok = strings.CutPrefix(rest, `,"payload":`)
	if !ok || int64(len(rest)) != size+1 || rest[0] != '{' && rest[0] != '[' || rest[size] != '}' {
		return "", false
	}
	return rest[:size], m.fieldsSound()
}

// cutNumber cuts name and a decimal number off s.
func cutNumber(s, name string) (n int64, after string, ok bool) {
	const maxDigits = 18 // all of them fit an int64
	after, ok = strings.CutPrefix(s, name)
	if !ok {
		return 0, "", false
	}
	digits := 0
	for digits < len(after) && after[digits]-'0' <= 9 {
		if digits == maxDigits {
			return 0, "", false
		}
		n = 10*n + int64(after[digits]-'0')
		digits++
	}
	if digits == 0 || digits > 1 && after[0] == '0' {
		return 0, "", false
	}
	return n, after[digits:], true
}

// payload returns the payload of an envelope by R1.
func (m *members) payload() (payload string, ok bool) {
	if m.markers != 1 || m.marker != "1" || m.payloads != 1 || !m.fieldsSound() {
		return "", false
	}
	switch {
	case m.contentKind == memberPayload && !m.isString:
		return m.value, true
	case m.contentKind == memberPayload:
		return m.unquote(m.content)
	case m.isString:
		encoded, ok := m.unquote(m.content)
		if !ok {
			return "", false
		}
		return decodeBase64(encoded)
	}
	return "", false
}

func decodeBase64(s string) (decoded string, ok bool) {
	// The decoder passes over line breaks, even when it is strict.
	if len(s)%4 != 0 || strings.ContainsAny(s, "\r\n") {
		return "", false
	}
	strict := base64.StdEncoding.Strict()
	b := make([]byte, strict.DecodedLen(len(s)))
	n, err := strict.Decode(b, viewBytes(s))
	return ownedString(b[:n]), err == nil
}

// isLaterVersion says whether the one marker is a whole number above 1.
func (m *members) isLaterVersion() bool {
	if m.markers != 1 || m.marker == "1" || m.marker[0] < '1' || m.marker[0] > '9' {
		return false
	}
	// It is a JSON number: what is no digit makes it something else than a whole
	// one.
	return !strings.ContainsAny(m.marker, ".eE")
}

// fieldsSound says whether the carrier members are such that every reader would
// take the same from them.
func (m *members) fieldsSound() bool {
	for i := range m.names {
		f := m.field(i)
		if f.count > 1 {
			return false
		}
		if _, ok := m.unquotedLen(f.stringText); !ok {
			return false
		}
	}
	return true
}

// fill puts the carrier members into c that occur once and are well-formed.
func (m *members) fill(c *Carrier) error {
	size, others := 0, 0
	for i, name := range m.names {
		f := m.field(i)
		n, ok := m.unquotedLen(f.stringText)
		if f.count != 1 || !ok {
			f.count = 0
			continue
		}
		size += len(name) + n
		if c.w3c(name) == nil {
			others++
		}
	}
	if size > maxCarrier {
		return ErrCarrierTooLarge
	}
	if others > 0 {
		c.others = make([]carrierField, 0, others)
	}
	for i, name := range m.names {
		f := m.field(i)
		if f.count == 0 {
			continue
		}
		value, _ := m.unquote(f.stringText)
		if w3c := c.w3c(name); w3c != nil {
			*w3c = value
		} else {
			c.others = append(c.others, carrierField{name, value})
		}
	}
	return nil
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// Decode returns the payload of message, and sets its propagation fields in f, which must be
// empty. In an envelope, every string member that means nothing else is such a field. In any
// other JSON object, only those with the given names are. If a is not nil, Decode sets it to
// the accounting of the envelope, or to nothing. The source may be a substring of message.
//
// It applies the first of the rules R0 to R5 of the wire format that fits. If no rule finds
// a payload, the whole message is the payload. Decode reads the message once, or twice if it
// is an envelope of many fields, but not a JSON document whose size is in the envelope.
// Without escapes, the payload and the fields are substrings of message, unless they are much
// smaller: see [members.detach].
func Decode(message string, names []string, f *Fields, a *Accounting) (payload string, err error) {
	if a == nil {
		a = new(Accounting)
	}
	*a = Accounting{}
	m := members{message: message, text: viewBytes(message), names: names}

	pos := 0
	if strings.HasPrefix(message, version1+`,"`) {
		pos = m.frontAccounting(m.front())
		if document, ok := m.document(pos); ok {
			if m.found.keepAll() {
				m.front()
			}
			if m.keepSound() { // R0
				*a = m.account()
				return document, m.fill(f)
			}
			m, pos = members{message: message, text: viewBytes(message), names: names}, 0
		}
	}
	isObject := pos != jsontext.Broken && m.object(pos)
	if isObject {
		if payload, ok := m.payload(); ok { // R1
			*a = m.account() // before the members are read again
			if m.found.keepAll() {
				m.object(0)
			}
			m.keepSound()
			return payload, m.fill(f)
		}
	}
	switch {
	case isObject && m.isLaterVersion(): // R3
		_ = m.fillNamed(f) // a message has one error, and the version explains more
		return message, ErrUnsupportedVersion
	case strings.HasPrefix(message, marker): // R2
		return message, ErrMalformedEnvelope
	case isObject: // R4, or R5 without any field
		return message, m.fillNamed(f)
	default: // R5
		return message, nil
	}
}

// IsEnvelope reports whether payload is an envelope already, of any version. It then sets its
// fields in f, like [Decode].
func IsEnvelope(payload []byte, names []string, f *Fields) bool {
	// Most payloads need not be read, because they are no object or cannot have a marker,
	// not even one with escapes.
	if start := jsontext.SkipSpace(payload, 0); start >= len(payload) || payload[start] != '{' {
		return false
	}
	if !bytes.Contains(payload, []byte(`tracedpubsub`)) && !bytes.Contains(payload, []byte(`\u`)) {
		return false
	}
	message := string(payload) // a copy, since the caller may change payload
	body, err := Decode(message, names, f, nil)
	return len(body) < len(message) || errors.Is(err, ErrUnsupportedVersion)
}

// document returns the payload by R0. The size says where it ends, so that it need not be
// read. pos is the position that frontAccounting has returned.
func (m *members) document(pos int) (payload string, ok bool) {
	if pos == jsontext.Broken {
		return "", false
	}
	size, rest, ok := cutNumber(m.message[pos:], `,"size":`)
	if !ok {
		return "", false
	}
	rest, ok = strings.CutPrefix(rest, `,"payload":`)
	if !ok || int64(len(rest)) != size+1 || rest[0] != '{' && rest[0] != '[' || rest[size] != '}' {
		return "", false
	}
	return m.detach(rest[:size]), true
}

// frontAccounting reads ts, src and seq if they are at pos, as [Writer] writes them, and returns
// the position after them. Like front, it may return jsontext.Broken.
func (m *members) frontAccounting(pos int) int {
	const src = `,"src":`
	if pos == jsontext.Broken {
		return pos
	}
	rest := m.message[pos:]
	if n, after, ok := cutNumber(rest, `,"ts":`); ok {
		m.noteNumber(memberTime, n)
		rest = after
	}
	if strings.HasPrefix(rest, src+`"`) {
		text, end := m.stringAt(len(m.message) - len(rest) + len(src))
		if end == jsontext.Broken {
			return jsontext.Broken
		}
		m.noteSource(text, true)
		rest = m.message[end:]
	}
	if n, after, ok := cutNumber(rest, `,"seq":`); ok {
		m.noteNumber(memberSequence, n)
		rest = after
	}
	if !strings.HasPrefix(rest, ",") { // perhaps the rest of a number that is not a whole one
		m.accounting = foundAccounting{}
		return pos
	}
	return len(m.message) - len(rest)
}

// cutNumber cuts name and a decimal number off s.
func cutNumber(s, name string) (n int64, after string, ok bool) {
	const maxDigits = 18 // fits into an int64
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
	if m.markers != 1 || m.marker != "1" || m.payloads != 1 {
		return "", false
	}
	switch {
	case m.contentKind == memberPayload && !m.isString:
		return m.detach(m.value), true
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
	// The decoder ignores line breaks, even if it is strict.
	if len(s)%4 != 0 || strings.ContainsAny(s, "\r\n") {
		return "", false
	}
	strict := base64.StdEncoding.Strict()
	b := make([]byte, strict.DecodedLen(len(s)))
	n, err := strict.Decode(b, viewBytes(s))
	return ownedString(b[:n]), err == nil
}

// isLaterVersion reports whether the only marker is a whole number above 1.
func (m *members) isLaterVersion() bool {
	if m.markers != 1 || m.marker == "1" || m.marker[0] < '1' || m.marker[0] > '9' {
		return false
	}
	// The marker is a JSON number, and a whole one without a fraction and an exponent.
	return !strings.ContainsAny(m.marker, ".eE")
}

// fillNamed sets the sound fields in f that the propagator names.
func (m *members) fillNamed(f *Fields) error {
	m.keepNamed()
	m.keepSound()
	return m.fill(f)
}

// fill sets the fields in f that are kept. They must be sound.
func (m *members) fill(f *Fields) error {
	size, others := 0, 0
	for i, name := range w3cNames {
		if found := &m.found.w3c[i]; found.count > 0 {
			n, _ := m.unquotedLen(found.value)
			size += len(name) + n
		}
	}
	for _, other := range m.found.others() {
		nameLen, _ := m.unquotedLen(m.nameAt(other.pos))
		n, _ := m.unquotedLen(other.value)
		if size += nameLen + n; size > MaxFields {
			break
		}
		if n > 0 {
			others++
		}
	}
	if size > MaxFields {
		return ErrCarrierTooLarge
	}
	for i, name := range w3cNames {
		found := &m.found.w3c[i]
		if found.count > 0 && !(name == nameTraceparent && m.copyTraceparent(found.value, f)) {
			*f.w3c(name), _ = m.unquote(found.value)
		}
	}
	if others > 0 {
		m.fillOthers(f, others)
	}
	return nil
}

// fillOthers sets n fields that are not of W3C.
func (m *members) fillOthers(f *Fields, n int) {
	f.others = make([]field, 0, n)
	for _, other := range m.found.others() {
		if value, _ := m.unquote(other.value); value != "" {
			f.others = append(f.others, field{m.nameOf(m.nameAt(other.pos)), value})
		}
	}
	slices.SortFunc(f.others, func(a, b field) int { return strings.Compare(a.name, b.name) })
}

// nameOf returns the name of a field. It does not keep the message in memory if the propagator
// has the name, too.
func (m *members) nameOf(text stringText) string {
	if !text.escaped {
		if i := slices.Index(m.names, m.message[text.start:text.end]); i >= 0 {
			return m.names[i]
		}
	}
	name, _ := m.unquote(text)
	return name
}

// copyTraceparent copies a traceparent that would keep a much larger message in memory to f.
// It returns false if the traceparent can be a string instead.
func (m *members) copyTraceparent(s stringText, f *Fields) bool {
	if s.escaped || s.end-s.start != LenTraceparent || !m.pinnedBy(LenTraceparent) {
		return false
	}
	f.hasCopied = true
	copy(f.copied[:], m.text[s.start:s.end])
	return true
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// The plain reader is a second implementation of the rules for reading. It shares no code
// with the first, and is as plain as possible: regular expressions for R0, encoding/json
// for the rest.

// reading is what the plain reader makes of a message.
type reading struct {
	rule    string
	payload string
	fields  map[string]string
	err     error
}

// readPlainly decodes a message. A message of more than 10,000 levels is too deep for
// encoding/json; see tooDeep.
func readPlainly(message string, fields []string) reading {
	claims := strings.HasPrefix(message, `{"tracedpubsub":`)
	if payload, members, ok := readR0(message); ok {
		if carrier := carrierMembers(members, nil); len(carrier) == len(members) {
			return carrier.limited("R0", payload, nil)
		}
	}
	members, ok := readObject(message)
	if !ok {
		if claims {
			return reading{"R2", message, nil, wire.ErrMalformedEnvelope}
		}
		return reading{"R5", message, nil, nil}
	}
	marker := named(members, "tracedpubsub")
	if len(marker) == 1 && marker[0] == "1" {
		texts, encoded := named(members, "payload"), named(members, "payload_base64")
		if len(texts)+len(encoded) == 1 {
			if payload, ok := readPayload(texts, encoded); ok {
				return carrierMembers(members, nil).limited("R1", payload, nil)
			}
		}
	}
	carrier := carrierMembers(members, fields)
	if len(marker) == 1 && marker[0] != "1" && laterVersion.MatchString(marker[0]) {
		return carrier.limited("R3", message, wire.ErrUnsupportedVersion)
	}
	if claims {
		return reading{"R2", message, nil, wire.ErrMalformedEnvelope}
	}
	if len(carrier) > 0 {
		return carrier.limited("R4", message, nil)
	}
	return reading{"R5", message, nil, nil}
}

const (
	stringPattern = `"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"`
	numberPattern = `(?:0|[1-9][0-9]{0,17})`
)

var (
	stringMember = regexp.MustCompile(`^,(` + stringPattern + `):(` + stringPattern + `)`)
	laterVersion = regexp.MustCompile(`^[1-9][0-9]*$`)
	sizedTail    = regexp.MustCompile(`^(?:,"ts":` + numberPattern + `)?(?:,"src":` + stringPattern + `)?(?:,"seq":` + numberPattern + `)?,"size":(` + numberPattern + `),"payload":`)
	// A document, and the brace that ends the envelope.
	documentAndEnd = regexp.MustCompile(`(?s)^[{\[].*\}$`)
	reserved       = []string{"tracedpubsub", "size", "payload", "payload_base64", "ts", "src", "seq"}
)

type jsonMember struct{ name, quoted, value string } // quoted is the name as JSON text

func readR0(message string) (payload string, members []jsonMember, ok bool) {
	rest, ok := strings.CutPrefix(message, `{"tracedpubsub":1`)
	for ok {
		if tail := sizedTail.FindStringSubmatch(rest); tail != nil {
			rest = rest[len(tail[0]):]
			front := message[:len(message)-len(rest)]
			size, err := strconv.ParseInt(tail[1], 10, 64)
			if err != nil || !utf8.ValidString(front) || size+1 != int64(len(rest)) {
				return "", nil, false
			}
			if !documentAndEnd.MatchString(rest) || size == 0 {
				return "", nil, false
			}
			return rest[:size], members, true
		}
		m := stringMember.FindStringSubmatch(rest)
		if m == nil || slices.Contains(reserved, unquoteLoosely(m[1])) {
			return "", nil, false
		}
		members = append(members, jsonMember{unquoteLoosely(m[1]), m[1], m[2]})
		rest = rest[len(m[0]):]
	}
	return "", nil, false
}

// readObject returns the members of a JSON object, with the texts of their values.
func readObject(message string) (members []jsonMember, ok bool) {
	// The decoder below accepts what is not UTF-8, and has no error for what is valid.
	if !utf8.ValidString(message) || !json.Valid([]byte(message)) {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(message))
	if start, _ := d.Token(); start != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		before := d.InputOffset()
		name, _ := d.Token()
		quoted := strings.TrimLeft(message[before:d.InputOffset()], ", \t\r\n")
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			panic("json.Valid and json.Decoder disagree: " + err.Error())
		}
		members = append(members, jsonMember{name.(string), quoted, string(value)})
	}
	return members, true
}

func named(members []jsonMember, name string) (values []string) {
	for _, m := range members {
		if m.name == name {
			values = append(values, m.value)
		}
	}
	return values
}

func readPayload(texts, encoded []string) (payload string, ok bool) {
	switch {
	case len(texts) == 1 && texts[0][0] != '"':
		return texts[0], true
	case len(texts) == 1:
		return unquoteLoosely(texts[0]), wellFormed(texts[0])
	case encoded[0][0] != '"' || !wellFormed(encoded[0]):
		return "", false
	}
	text := unquoteLoosely(encoded[0])
	// Any bytes have one base64 form only.
	b, err := base64.StdEncoding.DecodeString(text)
	return string(b), err == nil && base64.StdEncoding.EncodeToString(b) == text
}

// carrierReading are the fields that occur once and are well-formed.
type carrierReading map[string]string

// carrierMembers returns the fields among members. fields are their names; nil means that all
// members are fields whose names have no other meaning.
func carrierMembers(members []jsonMember, fields []string) carrierReading {
	c, occurs := make(carrierReading), make(map[string]int)
	for _, m := range members {
		if m.value[0] != '"' || slices.Contains(reserved, m.name) || fields != nil && !slices.Contains(fields, m.name) {
			continue
		}
		if !wellFormed(m.quoted) { // its name is like that of no other
			continue
		}
		occurs[m.name]++
		if wellFormed(m.value) {
			c[m.name] = unquoteLoosely(m.value)
		}
	}
	maps.DeleteFunc(c, func(name, _ string) bool { return occurs[name] > 1 })
	return c
}

func (c carrierReading) limited(rule, payload string, err error) reading {
	size := 0
	for name, value := range c {
		size += len(name) + len(value)
	}
	if size > 16384 {
		if err == nil {
			err = wire.ErrCarrierTooLarge
		}
		return reading{rule, payload, nil, err}
	}
	return reading{rule, payload, c, err}
}

// unquoteLoosely decodes a JSON string as encoding/json does: a lone surrogate becomes
// U+FFFD.
func unquoteLoosely(text string) string {
	var s string
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	return s
}

var (
	anyEscapes  = regexp.MustCompile(`(?:\\u[0-9a-fA-F]{4})+|\\[^u]`)
	unitEscapes = regexp.MustCompile(`\\u([0-9a-fA-F]{4})`)
)

// wellFormed reports whether the surrogates in a JSON string come in pairs.
func wellFormed(text string) bool {
	for _, run := range anyEscapes.FindAllString(text, -1) {
		var units []uint16
		for _, u := range unitEscapes.FindAllStringSubmatch(run, -1) {
			unit, _ := strconv.ParseUint(u[1], 16, 16)
			units = append(units, uint16(unit))
		}
		if !slices.Contains(units, utf8.RuneError) && slices.Contains(utf16.Decode(units), utf8.RuneError) {
			return false
		}
		if !slices.Equal(utf16.Encode(utf16.Decode(units)), units) {
			return false
		}
	}
	return true
}

// depthOf returns the depth of a JSON text.
func depthOf(text string) (deepest int) {
	depth := 0
	for _, c := range anyString.ReplaceAllString(text, "") {
		switch c {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

var anyString = regexp.MustCompile(stringPattern)

// tooDeep reports whether message may be too deep for encoding/json.
func tooDeep(message string) bool {
	return strings.Count(message, "[")+strings.Count(message, "{") > 9_000
}

func TestPlainReaderReadsVectors(t *testing.T) {
	for _, v := range readVectors(t).Decode {
		t.Run(v.Name, func(t *testing.T) {
			if tooDeep(string(v.Message)) {
				t.Logf("not for this reader: more than 10,000 levels")
				return
			}
			got := readPlainly(string(v.Message), everyField)
			if got.rule != v.Rule || got.payload != string(v.Payload) || !maps.Equal(usual(got.fields), v.Carrier) || !errors.Is(got.err, v.err()) {
				t.Errorf("%s: got %s %.300q %.300q %v,\nwant %s %.300q %.300q %v", v.Reason,
					got.rule, got.payload, got.fields, got.err, v.Rule, v.Payload, v.Carrier, v.err())
			}
		})
	}
}

// assertReadsLike asserts that Decode and the plain reader agree.
func assertReadsLike(t *testing.T, message string) {
	t.Helper()
	want := readPlainly(message, everyField)
	payload, fields, err := decode(message, everyField)
	assertAccounting(t, message, readAccountingPlainly(message, want))
	if !errors.Is(err, want.err) {
		t.Errorf("%s: error %v, the plain reader has %v", want.rule, err, want.err)
	}
	if payload != want.payload {
		t.Errorf("%s: payload %q, the plain reader has %q", want.rule, payload, want.payload)
	}
	maps.DeleteFunc(want.fields, func(_, value string) bool { return value == "" }) // Names has no empty ones
	if !maps.Equal(fields, want.fields) {
		t.Errorf("%s: fields %q, the plain reader has %q", want.rule, fields, want.fields)
	}
}

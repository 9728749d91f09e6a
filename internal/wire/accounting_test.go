// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// What an envelope says about its delivery is read if it is wholly there and usable, and
// ignored otherwise. Nothing of it makes the message any worse.
func TestDecodeReadsAccounting(t *testing.T) {
	const parent = `{"tracedpubsub":1,"traceparent":"` + traceparent + `"`
	usual := wire.Accounting{Time: 1766000000000000, Source: "q83vEjRWeJA", Sequence: 7}
	const accounted = `,"ts":1766000000000000,"src":"q83vEjRWeJA","seq":7`
	sourced := func(source string) wire.Accounting { return wire.Accounting{Time: 1, Source: source, Sequence: 2} }
	x64 := strings.Repeat("x", 64)
	for _, tt := range []struct {
		name, reason, message string
		want                  wire.Accounting
	}{
		{"text", "written by this library", parent + accounted + `,"payload":"hi"}`, usual},
		{"document by its size", "likewise, and the payload is not read", parent + accounted + `,"size":7,"payload":{"a":!}}`, usual},
		{"bytes", "likewise", parent + accounted + `,"payload_base64":"//79"}`, usual},
		{"document of a wrong size", "R1 reads the members again", parent + accounted + `,"size":9,"payload":{"a":1}}`, usual},
		{"document with a field twice", "likewise", `{"tracedpubsub":1,"x":"1","x":"2"` + accounted + `,"size":7,"payload":{"a":1}}`, usual},
		{"many fields", "they are read twice", `{"tracedpubsub":1` + accounted + manyMembers(20, `,"f%d":""`) + `,"payload":"hi"}`, usual},
		{"any order and white space", "of another language", `{ "seq" : 7, "payload" : "hi", "src" : "q83vEjRWeJA", "tracedpubsub" : 1, "ts" : 1766000000000000 }`, usual},
		{"behind the payload", "likewise", parent + `,"payload":"hi"` + accounted + `}`, usual},
		{"too large a carrier", "the message has arrived all the same", `{"tracedpubsub":1,"baggage":"` + strings.Repeat("v", 16385) + `"` + accounted + `,"payload":"hi"}`, usual},
		{"escaped source", "names and values are compared unescaped", parent + `,"\u0074s":1,"src":"\u0061b","seq":2,"payload":"hi"}`, sourced("ab")},
		{"source of 64 bytes", "the longest", parent + `,"ts":1,"src":"` + x64 + `","seq":2,"payload":"hi"}`, sourced(x64)},
		{"2^53", "the largest", parent + `,"ts":9007199254740992,"src":"a","seq":9007199254740992,"payload":"hi"}`, wire.Accounting{Time: 1 << 53, Source: "a", Sequence: 1 << 53}},
		{"zeros", "not negative", parent + `,"ts":0,"src":"a","seq":0,"payload":"hi"}`, wire.Accounting{Source: "a"}},

		{"none", "the publisher does not account for its messages", parent + `,"payload":"hi"}`, wire.Accounting{}},
		{"no ts", "together or not at all", parent + `,"src":"a","seq":2,"payload":"hi"}`, wire.Accounting{}},
		{"no src", "likewise, also by R0", parent + `,"ts":1,"seq":2,"size":2,"payload":{}}`, wire.Accounting{}},
		{"no seq", "likewise", parent + `,"ts":1,"src":"a","size":2,"payload":{}}`, wire.Accounting{}},
		{"ts above 2^53", "not exact in JavaScript", parent + `,"ts":9007199254740993,"src":"a","seq":2,"size":2,"payload":{}}`, wire.Accounting{}},
		{"seq above 2^53", "likewise", parent + `,"ts":1,"src":"a","seq":9007199254740993,"payload":"hi"}`, wire.Accounting{}},
		{"endless seq", "likewise", parent + `,"ts":1,"src":"a","seq":` + strings.Repeat("9", 5000) + `,"payload":"hi"}`, wire.Accounting{}},
		{"negative", "no number of a message", parent + `,"ts":1,"src":"a","seq":-2,"payload":"hi"}`, wire.Accounting{}},
		{"fraction", "likewise", parent + `,"ts":1.5,"src":"a","seq":2,"payload":"hi"}`, wire.Accounting{}},
		{"exponent", "likewise", parent + `,"ts":1,"src":"a","seq":2e0,"payload":"hi"}`, wire.Accounting{}},
		{"ts as a string", "of another type", parent + `,"ts":"1","src":"a","seq":2,"payload":"hi"}`, wire.Accounting{}},
		{"src as a number", "likewise", parent + `,"ts":1,"src":5,"seq":2,"payload":"hi"}`, wire.Accounting{}},
		{"seq as null", "likewise", parent + `,"ts":1,"src":"a","seq":null,"payload":"hi"}`, wire.Accounting{}},
		{"ts twice", "which of the two?", parent + `,"ts":1,"ts":1,"src":"a","seq":2,"payload":"hi"}`, wire.Accounting{}},
		{"seq in front and behind", "likewise", parent + `,"ts":1,"src":"a","seq":2,"size":2,"payload":{},"seq":2}`, wire.Accounting{}},
		{"src a string and a number", "likewise", parent + `,"ts":1,"src":5,"src":"a","seq":2,"payload":"hi"}`, wire.Accounting{}},
		{"empty src", "names nobody", parent + `,"ts":1,"src":"","seq":2,"payload":"hi"}`, wire.Accounting{}},
		{"src of 65 bytes", "too long", parent + `,"ts":1,"src":"x` + x64 + `","seq":2,"payload":"hi"}`, wire.Accounting{}},
		{"src with a lone surrogate", "no text", parent + `,"ts":1,"src":"\ud800","seq":2,"size":2,"payload":{}}`, wire.Accounting{}},
		{"malformed", "no envelope", parent + accounted + `,"payload":"hi"`, wire.Accounting{}},
		{"later version", "its members may mean something else", `{"tracedpubsub":2` + accounted + `,"payload":"hi"}`, wire.Accounting{}},
		{"foreign object", "likewise", `{"traceparent":"p"` + accounted + `,"payload":"hi"}`, wire.Accounting{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assertAccounting(t, tt.message, tt.want)
			if got := readAccountingPlainly(tt.message, readPlainly(tt.message, everyField)); got != tt.want {
				t.Errorf("the plain reader has %+v, want %+v: %s", got, tt.want, tt.reason)
			}
			if t.Failed() {
				t.Logf("reason: %s", tt.reason)
			}
		})
	}
}

// A message without accounting leaves nothing of the one before.
func TestDecodeResetsAccounting(t *testing.T) {
	var f wire.Fields
	a := wire.Accounting{Time: 1, Source: "a", Sequence: 1}
	if _, err := wire.Decode("hello", w3c, &f, &a); err != nil || a != (wire.Accounting{}) {
		t.Errorf("the accounting of a bare message is %+v, %v", a, err)
	}
}

func assertAccounting(t *testing.T, message string, want wire.Accounting) {
	t.Helper()
	var f wire.Fields
	var got wire.Accounting
	_, _ = wire.Decode(message, everyField, &f, &got)
	if got != want {
		t.Errorf("the accounting is %+v, want %+v: %.300q", got, want, message)
	}
}

// readAccountingPlainly is the second implementation of what Decode does. r is what the plain
// reader makes of the message.
func readAccountingPlainly(message string, r reading) wire.Accounting {
	switch r.rule {
	case "R0": // the payload need not be JSON
		message = strings.TrimSuffix(message, `,"payload":`+r.payload+`}`) + `}`
	case "R1":
	default:
		return wire.Accounting{}
	}
	members, _ := readObject(message)
	ts, src, seq := named(members, "ts"), named(members, "src"), named(members, "seq")
	if len(ts) != 1 || len(src) != 1 || len(seq) != 1 || src[0][0] != '"' || !wellFormed(src[0]) {
		return wire.Accounting{}
	}
	source := unquoteLoosely(src[0])
	if source == "" || len(source) > 64 || !isUsable(ts[0]) || !isUsable(seq[0]) {
		return wire.Accounting{}
	}
	time, _ := new(big.Int).SetString(ts[0], 10)
	sequence, _ := new(big.Int).SetString(seq[0], 10)
	return wire.Accounting{Time: time.Int64(), Source: source, Sequence: sequence.Int64()}
}

var wholeNumber = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

func isUsable(number string) bool {
	if !wholeNumber.MatchString(number) {
		return false
	}
	n, _ := new(big.Int).SetString(number, 10)
	return n.Cmp(big.NewInt(1<<53)) <= 0
}

// An accounting is behind the fields and in front of the payload, whatever its form. It is of
// one envelope only.
func TestWriterWritesAccounting(t *testing.T) {
	a := wire.Accounting{Time: 1766000000000000, Source: "q83vEjRWeJA", Sequence: 7}
	const accounted = `,"ts":1766000000000000,"src":"q83vEjRWeJA","seq":7`
	f := fieldsOf("traceparent", traceparent, "b3", "1")
	var w wire.Writer
	for _, payload := range payloads {
		bare, err := wire.Append(nil, &f, payload)
		if err != nil {
			t.Fatal(err)
		}
		const front = `{"tracedpubsub":1,"traceparent":"` + traceparent + `","b3":"1"`
		want := strings.Replace(string(bare), front, front+accounted, 1)
		_ = w.Begin(&f)
		for range 2 {
			w.Account(a)
			w.Wrap([]byte(payload))
			assertWrites(t, &w, want)
		}
		assertAccounting(t, want, a)
		_ = w.Begin(&f)
		w.Wrap([]byte(payload))
		assertWrites(t, &w, string(bare))
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"errors"
	"maps"
	"runtime"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// An application may keep a payload or a field for hours, and the message only for as long as
// it is decoded.
func TestSmallPartsDoNotKeepLargeMessages(t *testing.T) {
	const size, kept = 256 << 10, 32
	large := strings.Repeat("x", size)
	const start = `{"tracedpubsub":1,"traceparent":"` + traceparent + `"`
	payload := func(payload string, _ wire.Fields) any { return []string{payload} }
	fields := func(_ string, f wire.Fields) any { return f }
	field := func(name string) func(string, wire.Fields) any {
		return func(_ string, f wire.Fields) any { return []string{f.Get(name)} }
	}
	for _, tt := range []struct {
		name, reason, message string
		keep                  func(payload string, f wire.Fields) any
	}{
		{"text", "the rest is a member that is ignored", start + `,"x":"` + large + `","payload":"y"}`, payload},
		{"empty text", "a substring of no bytes keeps a message, too", start + `,"x":"` + large + `","payload":""}`, payload},
		{"text beside fields that are too large", "the payload is delivered all the same", start + `,"baggage":"` + large + `","payload":"y"}`, payload},
		{"document by its size", "it is not even read", `{"tracedpubsub":1,"baggage":"` + large + `","size":2,"payload":{}}`, payload},
		{"document", "likewise", start + `,"x":"` + large + `","payload":[1]}`, payload},
		{"number", "its text is the payload", start + `,"x":"` + large + `","payload":7}`, payload},
		{"bytes", "base64 is decoded into memory of its own", start + `,"x":"` + large + `","payload_base64":"//79"}`, payload},
		{"traceparent", "a propagator may keep it", start + `,"payload":"` + large + `"}`, field("traceparent")},
		{"traceparent of another version", "it is longer", `{"tracedpubsub":1,"traceparent":"` + traceparent + `-more","payload":"` + large + `"}`, field("traceparent")},
		{"tracestate", "it is in the context", start + `,"tracestate":"vendor=1","payload":"` + large + `"}`, field("tracestate")},
		{"baggage", "likewise", start + `,"baggage":"tenant=acme","payload":"` + large + `"}`, field("baggage")},
		{"other field", "of another propagator", start + `,"b3":"1","payload":"` + large + `"}`, field("b3")},
		{"all fields", "an application may keep an Envelope without its payload", start + `,"tracestate":"vendor=1","baggage":"tenant=acme","b3":"1","payload":"` + large + `"}`, fields},
		{"fields beside escapes", "the payload is in memory of its own", start + `,"baggage":"tenant=acme","payload":"\n` + large + `"}`, fields},
		{"fields of a foreign object", "the message is the payload", `{"data":"` + large + `","traceparent":"` + traceparent + `","baggage":"tenant=acme"}`, fields},
		{"fields of a later version", "likewise", `{"tracedpubsub":2,"data":"` + large + `","traceparent":"` + traceparent + `","baggage":"tenant=acme"}`, fields},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts := make([]any, kept)
			before := heap()
			for i := range parts {
				var f wire.Fields
				payload, _ := wire.Decode(strings.Clone(tt.message), everyField, &f, nil)
				parts[i] = tt.keep(payload, f)
			}
			if grown := heap() - before; grown > kept*size/4 {
				t.Errorf("%d parts keep %d bytes, want far less than the messages: %s", kept, grown, tt.reason)
			}
			runtime.KeepAlive(parts)
		})
	}
}

// heap returns the bytes in use, without what the garbage collector can free.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what a sync.Pool holds survives the first one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A message whose payload and fields are copied has the same ones.
func TestDecodeVectorsOfLargeMessages(t *testing.T) {
	blank := strings.Repeat(" ", 100<<10)
	for _, v := range readVectors(t).Decode {
		if v.Rule != "R1" { // by R0 a message ends where its size says, and by the others it is the payload
			continue
		}
		payload, fields, err := decode(string(v.Message)+blank, everyField)
		if payload != string(v.Payload) || !maps.Equal(usual(fields), v.Carrier) || !errors.Is(err, v.err()) || (err == nil) != (v.Error == nil) {
			t.Errorf("%s: %.300q with %.300q, %v, want %.300q with %.300q, %v", v.Name, payload, fields, err, v.Payload, v.Carrier, v.err())
		}
	}
}

// The fields of a large message can be changed, copied and sent on like others.
func TestFieldsOfALargeMessage(t *testing.T) {
	const start = `{"tracedpubsub":1,"traceparent":"` + traceparent + `","baggage":"tenant=acme"`
	body := strings.Repeat("x", 4<<10)
	var f wire.Fields
	if _, err := wire.Decode(start+`,"payload":"`+body+`"}`, w3c, &f, nil); err != nil {
		t.Fatal(err)
	}
	if value, only := f.Traceparent(); value != traceparent || only || f.Empty() {
		t.Errorf("traceparent %q, only %v, empty %v", value, only, f.Empty())
	}
	again, err := wire.Append(nil, &f, "hello")
	if want := start + `,"payload":"hello"}`; string(again) != want || err != nil {
		t.Errorf("sent on: %s, %v, want %s", again, err, want)
	}
	other := f
	other.Set("baggage", "")
	if value, only := other.Traceparent(); value != traceparent || !only {
		t.Errorf("without baggage: traceparent %q, only %v", value, only)
	}
	other.Set("traceparent", "p")
	if value, _ := other.Traceparent(); value != "p" || other.Get("traceparent") != "p" {
		t.Errorf("set: traceparent %q and %q, want p", value, other.Get("traceparent"))
	}
	other.Set("traceparent", "")
	if !other.Empty() || len(other.Names()) > 0 {
		t.Errorf("set to nothing: the fields are %q", other.Names())
	}
	if got := f.Get("traceparent"); got != traceparent {
		t.Errorf("the original has the traceparent %q", got)
	}
}

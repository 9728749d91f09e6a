// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// vector is an example of the wire format. The tests of package wire check that all of
// the file is understood.
type vector struct {
	Name, Rule, Reason string
	Carrier            map[string]string
	Payload            []byte `json:"payload_b64"`
	Message            []byte `json:"message_b64"`
	Error              string
	Accounting         *struct{ TS int64 }
}

// vectorErrors are the errors of vectors, by their names in the file.
var vectorErrors = map[string]error{
	"":                  nil,
	"malformed":         tracedpubsub.ErrMalformedEnvelope,
	"unsupported":       tracedpubsub.ErrUnsupportedVersion,
	"carrier_too_large": tracedpubsub.ErrCarrierTooLarge,
}

func readVectors(t *testing.T) (v struct{ Encode, Decode []vector }) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Encode, AppendTo and Decode hold to the wire format. The tests of package wire have the
// details.
func TestVectors(t *testing.T) {
	vectors := readVectors(t)
	for _, v := range vectors.Encode {
		t.Run("encode/"+v.Name, func(t *testing.T) { assertEncodes(t, v) })
	}
	for _, v := range vectors.Decode {
		t.Run("decode/"+v.Name, func(t *testing.T) { assertDecodes(t, v) })
	}
}

func assertEncodes(t *testing.T, v vector) {
	var errs tracetest.ErrorLog
	opts := []tracedpubsub.Option{tracedpubsub.WithPropagators(injecting(v.Carrier)), errs.Option()}
	message, err := tracedpubsub.Encode(t.Context(), v.Payload, opts...)
	if err != nil || string(message) != string(v.Message) {
		t.Fatalf("%s:\n got %.300q, %v\nwant %.300q", v.Reason, message, err, v.Message)
	}
	e, err := tracedpubsub.Decode(string(message), opts...)
	if err != nil || e.Payload != string(v.Payload) {
		t.Errorf("decoded again: %.300q, %v, want %.300q", e.Payload, err, v.Payload)
	}
	want := maps.Clone(v.Carrier)
	maps.DeleteFunc(want, func(_, value string) bool { return value == "" })
	if written := fieldsIn(&e.Carrier); len(errs.All()) > 0 != (len(written) < len(want)) {
		t.Errorf("of the fields %.300q, %.300q are written, and reported is %v", want, written, errs.All())
	}

	reported := len(errs.All())
	e.Carrier = carrierOf(v.Carrier)
	if again := e.AppendTo(nil); string(again) != string(v.Message) {
		t.Errorf("%s:\nAppendTo gives %.300q\nwant %.300q", v.Reason, again, v.Message)
	}
	if got := len(errs.All()); got != 2*reported {
		t.Errorf("AppendTo has reported %d errors, want %d", got-reported, reported)
	}
}

func assertDecodes(t *testing.T, v vector) {
	e, err := tracedpubsub.Decode(string(v.Message), tracedpubsub.WithPropagators(everyField))
	if !errors.Is(err, vectorErrors[v.Error]) {
		t.Errorf("%s (%s): error %v, want %v", v.Rule, v.Reason, err, vectorErrors[v.Error])
	}
	if e.Payload != string(v.Payload) {
		t.Errorf("%s (%s): payload %.300q, want %.300q", v.Rule, v.Reason, e.Payload, v.Payload)
	}
	fields := fieldsIn(&e.Carrier)
	seen := maps.Clone(fields) // the vectors have only what a propagator of W3C and B3 sees
	maps.DeleteFunc(seen, func(name, _ string) bool { return !slices.Contains(everyField, name) })
	if !maps.Equal(seen, v.Carrier) {
		t.Errorf("%s (%s): carrier %.300q, want %.300q", v.Rule, v.Reason, seen, v.Carrier)
	}

	var published time.Time
	if v.Accounting != nil {
		published = time.UnixMicro(v.Accounting.TS)
	}
	if m := tracedpubsub.NewMessage("", "", string(v.Message)); !m.PublishedAt.Equal(published) {
		t.Errorf("%s (%s): published at %v, want %v", v.Rule, v.Reason, m.PublishedAt, published)
	}

	// What has been decoded can be sent on, and arrives as it is.
	again := decodeAll(t, string(e.AppendTo(nil)))
	if again.Payload != e.Payload || !maps.Equal(fieldsIn(&again.Carrier), fields) {
		t.Errorf("sent on: %.300q with %.300q", again.Payload, fieldsIn(&again.Carrier))
	}
}

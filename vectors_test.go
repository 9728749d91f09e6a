// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	"github.com/tracedpubsub/tracedpubsub"
)

// vectors are the examples of the wire format that implementations in all
// languages share.
type vectors struct {
	Version int            `json:"version"`
	Notes   string         `json:"notes"`
	Encode  []encodeVector `json:"encode"`
	Decode  []decodeVector `json:"decode"`
}

type encodeVector struct {
	Name    string            `json:"name"`
	Reason  string            `json:"reason"`
	Carrier map[string]string `json:"carrier"`
	Payload []byte            `json:"payload_b64"`
	Message []byte            `json:"message_b64"`
}

type decodeVector struct {
	Name    string            `json:"name"`
	Rule    string            `json:"rule"`
	Reason  string            `json:"reason"`
	Message []byte            `json:"message_b64"`
	Payload []byte            `json:"payload_b64"`
	Carrier map[string]string `json:"carrier"`
	Error   *string           `json:"error"`
}

// err is the error that the vector asks for.
func (v *decodeVector) err() error {
	if v.Error == nil {
		return nil
	}
	return vectorErrors[*v.Error]
}

var vectorErrors = map[string]error{
	"malformed":         tracedpubsub.ErrMalformedEnvelope,
	"unsupported":       tracedpubsub.ErrUnsupportedVersion,
	"carrier_too_large": tracedpubsub.ErrCarrierTooLarge,
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseVectors(text)
	if err != nil {
		t.Fatalf("testdata/vectors.json: %v", err)
	}
	return v
}

// parseVectors refuses vectors that the tests below would not wholly understand:
// nothing may pass because nobody looked at it.
func parseVectors(text []byte) (v vectors, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, err
	}
	if _, err := d.Token(); err != io.EOF {
		return v, errors.New("something behind the vectors")
	}
	if v.Version != 1 || len(v.Encode) == 0 || len(v.Decode) == 0 {
		return v, fmt.Errorf("version %d with %d and %d vectors", v.Version, len(v.Encode), len(v.Decode))
	}
	seen := make(map[string]bool)
	for _, e := range v.Encode {
		if e.Name == "" || seen[e.Name] || e.Reason == "" || len(e.Message) == 0 {
			return v, fmt.Errorf("encode vector %q: no name, no reason, no message, or a name used before", e.Name)
		}
		seen[e.Name] = true
	}
	clear(seen)
	for _, d := range v.Decode {
		if d.Name == "" || seen[d.Name] || d.Reason == "" {
			return v, fmt.Errorf("decode vector %q: no name, no reason, or a name used before", d.Name)
		}
		seen[d.Name] = true
		if !strings.Contains("R0 R1 R2 R3 R4 R5", d.Rule) || len(d.Rule) != 2 {
			return v, fmt.Errorf("decode vector %q: unknown rule %q", d.Name, d.Rule)
		}
		if d.Error != nil && vectorErrors[*d.Error] == nil {
			return v, fmt.Errorf("decode vector %q: unknown error %q", d.Name, *d.Error)
		}
	}
	return v, nil
}

func TestVectorsMustBeUnderstood(t *testing.T) {
	const (
		encode = `{"name":"e","reason":"r","carrier":{},"payload_b64":"","message_b64":"eA=="}`
		decode = `{"name":"d","rule":"R5","reason":"r","message_b64":"eA==","payload_b64":"eA==","carrier":{},"error":null}`
		whole  = `{"version":1,"notes":"","encode":[` + encode + `],"decode":[` + decode + `]}`
	)
	if _, err := parseVectors([]byte(whole)); err != nil {
		t.Fatalf("vectors as they should be: %v", err)
	}
	for _, tt := range []struct{ name, old, new, reason string }{
		{"unknown member", `"notes"`, `"remarks"`, "a member of the file that no test reads"},
		{"unknown member of an encode vector", `"carrier":{},"payload_b64":""`, `"carrier":{},"flags":1,"payload_b64":""`, "something that the encoder is to do and no test asks for"},
		{"unknown member of a decode vector", `"rule":"R5",`, `"rule":"R5","flags":1,`, "something that the decoder is to do and no test asks for"},
		{"unknown rule", `"R5"`, `"R6"`, "the wire format has a new rule"},
		{"no rule", `"R5"`, `""`, "a vector that fits all rules fits none"},
		{"unknown error", `"error":null`, `"error":"odd"`, "an error that no sentinel stands for"},
		{"other version", `"version":1`, `"version":2`, "another wire format"},
		{"no encode vectors", encode, ``, "a loop over nothing passes"},
		{"no decode vectors", decode, ``, "a loop over nothing passes"},
		{"same name twice", decode, decode + "," + decode, "one of them would be hard to find"},
		{"no reason", `"rule":"R5","reason":"r"`, `"rule":"R5","reason":""`, "a vector says what it is for"},
		{"cut off", `}]}`, `}]`, "not JSON"},
		{"something behind", `}]}`, `}]} {}`, "more vectors, perhaps"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(whole, tt.old, tt.new, 1)
			if changed == whole {
				t.Fatalf("%q is not in the vectors", tt.old)
			}
			if _, err := parseVectors([]byte(changed)); err == nil {
				t.Errorf("accepted; should not be, because of: %s", tt.reason)
			}
		})
	}
}

func TestEncodeVectors(t *testing.T) {
	for _, v := range readVectors(t).Encode {
		t.Run(v.Name, func(t *testing.T) {
			e := tracedpubsub.Envelope{Payload: string(v.Payload)}
			// The handler of an envelope comes from Decode.
			var reports reportLog
			e, _ = tracedpubsub.Decode(e.Payload, reports.option())
			e.Carrier, e.Payload = carrierOf(v.Carrier), string(v.Payload)
			message := e.AppendTo(nil)
			if !bytes.Equal(message, v.Message) {
				t.Fatalf("%s:\n got %.300q\nwant %.300q", v.Reason, message, v.Message)
			}

			// What is left out is reported, and nothing else is.
			back := decodeAll(t, string(message))
			missing := 0
			for name, value := range v.Carrier {
				if value != "" && back.Carrier.Get(name) == "" && !isCaseVariant(name) {
					missing++
				}
			}
			if (missing > 0) != (len(reports) > 0) {
				t.Errorf("%d fields left out, reported: %v", missing, reports)
			}
			if back.Payload != string(v.Payload) {
				t.Errorf("payload decoded again: %.300q, want %.300q", back.Payload, v.Payload)
			}
		})
	}
}

// isCaseVariant is true for fields of vectors about the order and the case of
// names, which no propagator of these tests reads.
func isCaseVariant(name string) bool {
	switch name {
	case "X-B3-TraceId", "a_b", "a-b", "Payload", "Size":
		return true
	}
	return false
}

func TestDecodeVectors(t *testing.T) {
	for _, v := range readVectors(t).Decode {
		t.Run(v.Name, func(t *testing.T) {
			e, err := tracedpubsub.Decode(string(v.Message), tracedpubsub.WithPropagators(everyField))
			if !errors.Is(err, v.err()) || (err == nil) != (v.Error == nil) {
				t.Errorf("%s (%s): error %v, want %v", v.Rule, v.Reason, err, v.err())
			}
			if e.Payload != string(v.Payload) {
				t.Errorf("%s (%s): payload %.300q, want %.300q", v.Rule, v.Reason, e.Payload, v.Payload)
			}
			if got := fieldsIn(&e.Carrier); !maps.Equal(got, v.Carrier) {
				t.Errorf("%s (%s): carrier %.300q, want %.300q", v.Rule, v.Reason, got, v.Carrier)
			}

			// What has been decoded can be sent on, and arrives as it is.
			again := decodeAll(t, string(e.AppendTo(nil)))
			if again.Payload != e.Payload || !maps.Equal(fieldsIn(&again.Carrier), fieldsIn(&e.Carrier)) {
				t.Errorf("sent on: %.300q with %.300q", again.Payload, fieldsIn(&again.Carrier))
			}
		})
	}
}

// decodeAll decodes an envelope that must be one.
func decodeAll(t testing.TB, message string) tracedpubsub.Envelope {
	t.Helper()
	e, err := tracedpubsub.Decode(message, tracedpubsub.WithPropagators(everyField))
	if err != nil {
		t.Fatalf("decode %.300q: %v", message, err)
	}
	return e
}

// everyField is a propagator that looks for the fields of W3C and B3.
var everyField = fieldsPropagator{
	"traceparent", "tracestate", "baggage", "b3",
	"x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
}

// fieldsPropagator has fields and nothing else.
type fieldsPropagator []string

func (p fieldsPropagator) Fields() []string { return p }

func (p fieldsPropagator) Inject(context.Context, propagation.TextMapCarrier) {}

func (p fieldsPropagator) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context {
	return ctx
}

// reportLog is an error handler for one goroutine.
type reportLog []error

func (l *reportLog) option() tracedpubsub.Option {
	return tracedpubsub.WithErrorHandler(func(err error) { *l = append(*l, err) })
}

func carrierOf(fields map[string]string) (c tracedpubsub.Carrier) {
	for name, value := range fields {
		c.Set(name, value)
	}
	return c
}

func fieldsIn(c *tracedpubsub.Carrier) map[string]string {
	fields := make(map[string]string)
	for _, name := range c.Keys() {
		fields[name] = c.Get(name)
	}
	return fields
}

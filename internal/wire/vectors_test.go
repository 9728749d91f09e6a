// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// vectors are the examples of the wire format that implementations in all languages
// share.
type vectors struct {
	Version int            `json:"version"`
	Notes   string         `json:"notes"`
	Encode  []encodeVector `json:"encode"`
	Decode  []decodeVector `json:"decode"`
}

type encodeVector struct {
	Name    string            `json:"name"`
	Level   string            `json:"level"`
	Reason  string            `json:"reason"`
	Carrier map[string]string `json:"carrier"`
	Payload []byte            `json:"payload_b64"`
	Message []byte            `json:"message_b64"`
}

type decodeVector struct {
	Name    string            `json:"name"`
	Level   string            `json:"level"`
	Rule    string            `json:"rule"`
	Reason  string            `json:"reason"`
	Message []byte            `json:"message_b64"`
	Payload []byte            `json:"payload_b64"`
	Carrier map[string]string `json:"carrier"`
	Error   *string           `json:"error"`

	Accounting *struct {
		Time     int64  `json:"ts"`
		Source   string `json:"src"`
		Sequence int64  `json:"seq"`
	} `json:"accounting"`
}

// err returns the error that the vector asks for.
func (v *decodeVector) err() error {
	if v.Error == nil {
		return nil
	}
	return vectorErrors[*v.Error]
}

var vectorErrors = map[string]error{
	"malformed":         wire.ErrMalformedEnvelope,
	"unsupported":       wire.ErrUnsupportedVersion,
	"carrier_too_large": wire.ErrCarrierTooLarge,
}

// levels say which readers must get a vector right: those of a dozen lines, too, or only those
// that hold to all rules, as this one does.
var levels = []string{"simple", "full"}

func readVectors(t testing.TB) vectors {
	t.Helper()
	const file = "../../testdata/vectors.json"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseVectors(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// parseVectors refuses vectors that the tests do not wholly understand. Nothing may pass
// because no test looks at it.
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
		if !slices.Contains(levels, e.Level) {
			return v, fmt.Errorf("encode vector %q: unknown level %q", e.Name, e.Level)
		}
		seen[e.Name] = true
	}
	clear(seen)
	for _, d := range v.Decode {
		if d.Name == "" || seen[d.Name] || d.Reason == "" {
			return v, fmt.Errorf("decode vector %q: no name, no reason, or a name used before", d.Name)
		}
		seen[d.Name] = true
		if !slices.Contains(levels, d.Level) {
			return v, fmt.Errorf("decode vector %q: unknown level %q", d.Name, d.Level)
		}
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
		encode = `{"name":"e","level":"simple","reason":"r","carrier":{},"payload_b64":"","message_b64":"eA=="}`
		decode = `{"name":"d","level":"full","rule":"R5","reason":"r","message_b64":"eA==","payload_b64":"eA==","carrier":{},"error":null}`
		whole  = `{"version":1,"notes":"","encode":[` + encode + `],"decode":[` + decode + `]}`
	)
	if _, err := parseVectors([]byte(whole)); err != nil {
		t.Fatalf("valid vectors: %v", err)
	}
	for _, tt := range []struct{ name, old, new, reason string }{
		{"unknown member", `"notes"`, `"remarks"`, "a member of the file that no test reads"},
		{"unknown member of an encode vector", `"carrier":{},"payload_b64":""`, `"carrier":{},"flags":1,"payload_b64":""`, "something that the encoder is to do and no test asks for"},
		{"unknown member of a decode vector", `"rule":"R5",`, `"rule":"R5","flags":1,`, "something that the decoder is to do and no test asks for"},
		{"unknown member of an accounting", `"error":null`, `"error":null,"accounting":{"flags":1}`, "something that a subscriber is to count and no test asks for"},
		{"unknown rule", `"R5"`, `"R6"`, "the wire format has a new rule"},
		{"no rule", `"R5"`, `""`, "a vector that fits all rules fits none"},
		{"unknown level", `"level":"full"`, `"level":"half"`, "nobody knows who must read it"},
		{"no level", `"level":"simple",`, ``, "likewise"},
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
				t.Errorf("accepted, want an error: %s", tt.reason)
			}
		})
	}
}

func TestEncodeVectors(t *testing.T) {
	for _, v := range readVectors(t).Encode {
		t.Run(v.Name, func(t *testing.T) {
			fields := makeFields(v.Carrier)
			message, leftOut := wire.Append(nil, &fields, string(v.Payload))
			if !bytes.Equal(message, v.Message) {
				t.Fatalf("%s:\n got %.300q\nwant %.300q", v.Reason, message, v.Message)
			}
			payload, written, err := decode(string(message), w3c)
			if err != nil || payload != string(v.Payload) {
				t.Errorf("decoded again: %.300q, %v, want %.300q", payload, err, v.Payload)
			}
			// The error is about the fields that are left out, apart from empty ones.
			want := maps.Clone(v.Carrier)
			maps.DeleteFunc(want, func(_, value string) bool { return value == "" })
			if (leftOut != nil) != (len(written) < len(want)) {
				t.Errorf("of the fields %.300q, %.300q are written, and the error is %v", want, written, leftOut)
			}
		})
	}
}

func TestDecodeVectors(t *testing.T) {
	for _, v := range readVectors(t).Decode {
		t.Run(v.Name, func(t *testing.T) {
			payload, fields, err := decode(string(v.Message), everyField)
			if !errors.Is(err, v.err()) || (err == nil) != (v.Error == nil) {
				t.Errorf("%s (%s): error %v, want %v", v.Rule, v.Reason, err, v.err())
			}
			if payload != string(v.Payload) {
				t.Errorf("%s (%s): payload %.300q, want %.300q", v.Rule, v.Reason, payload, v.Payload)
			}
			if !maps.Equal(usual(fields), v.Carrier) {
				t.Errorf("%s (%s): fields %.300q, want %.300q", v.Rule, v.Reason, fields, v.Carrier)
			}
			var accounting, want wire.Accounting
			_, _ = wire.Decode(string(v.Message), everyField, new(wire.Fields), &accounting)
			if v.Accounting != nil {
				want = wire.Accounting(*v.Accounting)
			}
			if accounting != want {
				t.Errorf("%s (%s): accounting %+v, want %+v", v.Rule, v.Reason, accounting, want)
			}

			// What has been decoded can be sent on, and arrives as it is.
			f := makeFields(fields)
			message, _ := wire.Append(nil, &f, payload)
			again, fieldsAgain, err := decode(string(message), everyField)
			if err != nil || again != payload || !maps.Equal(fieldsAgain, fields) {
				t.Errorf("sent on: %.300q with %.300q, %v", again, fieldsAgain, err)
			}
		})
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"bytes"
	"fmt"
	"runtime"

	"github.com/bytedance/sonic"
	"github.com/tidwall/gjson"

	"github.com/tracedpubsub/tracedpubsub"
)

// Gjson and Sonic look whether the payload is a JSON document, and copy an envelope that
// is ready: what to embed a document costs with validators that are known to be fast.
// Neither does all that is to be done: that of gjson, which is written in Go, takes
// strings that are not UTF-8, and that of sonic, in assembly where there is one for the
// processor, control characters and broken escapes besides.
const (
	Gjson = "reference: gjson.Valid and memcpy"
	Sonic = "reference: sonic.Valid and memcpy"
)

var validators = []Variant{
	{Gjson, validateAndCopy(gjson.ValidBytes)},
	{Sonic, validateAndCopy(sonic.Valid)},
}

func validateAndCopy(valid func([]byte) bool) func(*Env, Setting) (*Bench, error) {
	return func(e *Env, s Setting) (*Bench, error) {
		payload := []byte(s.Payload())
		envelope, err := tracedpubsub.Encode(e.context(s), payload)
		return computing(func() error {
			if got, want := valid(payload), s.Kind == JSON; got != want {
				return fmt.Errorf("%s of %d bytes is valid JSON: %v, want %v", s.Kind, s.Size, got, want)
			}
			runtime.KeepAlive(bytes.Clone(envelope))
			return nil
		}), err
	}
}

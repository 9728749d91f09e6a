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

// Gjson and Sonic check whether the payload is a JSON document, and copy a finished envelope.
// That is the cost of embedding a document with validators that are known to be fast. Neither
// checks everything: gjson, which is written in Go, accepts strings that are not UTF-8, and
// sonic, which has assembly for some processors, also accepts control characters and broken
// escapes.
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

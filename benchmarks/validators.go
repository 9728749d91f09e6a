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

// FloorGjson and FloorSonic look whether the payload is a JSON document, and copy an
// envelope that is ready: what embedding a document costs at least, with the validators
// that are known to be fast. That of gjson is written in Go, and takes strings that
// are not UTF-8; that of sonic is in assembly, where there is one for the processor.
const (
	FloorGjson = "floor: gjson.Valid and memcpy"
	FloorSonic = "floor: sonic.Valid and memcpy"
)

var validators = []Variant{
	{FloorGjson, validateAndCopy(gjson.ValidBytes)},
	{FloorSonic, validateAndCopy(sonic.Valid)},
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"unsafe"

	"go.opentelemetry.io/otel/propagation"

	"github.com/tracedpubsub/tracedpubsub"
)

// Encode makes a message of a payload and a context, and Decode decodes a message. Neither
// uses Redis or spans.
var (
	Encode = &Scenario{"encode", encodeVariants()}
	Decode = &Scenario{"decode", decodeVariants()}
)

// codec is a way to encode and decode.
type codec struct {
	name   string
	encode func(ctx context.Context, kind Kind, payload any) ([]byte, error)
	decode func(kind Kind, message string) (decoded, error)
}

// decoded is a decoded message. The payload is text or bytes, depending on the codec.
type decoded struct {
	text    string
	bytes   []byte
	carrier propagation.TextMapCarrier // nil: the library's own, see envelope
	fields  tracedpubsub.Carrier
}

// payload returns the payload as a string, without a copy.
func (d *decoded) payload() string {
	if d.bytes != nil {
		return unsafe.String(unsafe.SliceData(d.bytes), len(d.bytes))
	}
	return d.text
}

var codecs = []codec{
	{Library, libraryEncode, libraryDecode},
	{EncodingJSON, textEncode, textDecode},
	{EncodingBase64, bytesEncode, bytesDecode},
	{Watermill, watermillEncode, watermillDecode},
	{CloudEvents, cloudEventsEncode, cloudEventsDecode},
}

func libraryEncode(ctx context.Context, _ Kind, payload any) ([]byte, error) {
	return tracedpubsub.Encode(ctx, payload)
}

func libraryDecode(_ Kind, message string) (decoded, error) {
	e, err := tracedpubsub.Decode(message)
	return decoded{text: e.Payload, fields: e.Carrier}, err
}

func encodeVariants() []Variant {
	variants := append([]Variant{{Floor, memcpy}}, validators...)
	for _, c := range codecs {
		variants = append(variants, Variant{c.name, c.encodeBench})
	}
	return variants
}

func decodeVariants() []Variant {
	var variants []Variant
	for _, c := range codecs {
		variants = append(variants, Variant{c.name, c.decodeBench})
	}
	return variants
}

func computing(do func() error) *Bench {
	return &Bench{
		Prepare: noPreparing,
		Do: func(n int) error {
			for range n {
				if err := do(); err != nil {
					return err
				}
			}
			return nil
		},
		Finish: nothing,
		Close:  nothing,
	}
}

func (c codec) encodeBench(e *Env, s Setting) (*Bench, error) {
	ctx := e.context(s)
	var payload any = s.Payload()
	return computing(func() error {
		message, err := c.encode(ctx, s.Kind, payload)
		runtime.KeepAlive(message)
		return err
	}), nil
}

func (c codec) decodeBench(e *Env, s Setting) (*Bench, error) {
	b, err := c.encode(e.context(s), s.Kind, s.Payload())
	if err != nil {
		return nil, err
	}
	message := string(b)
	first, err := c.decode(s.Kind, message)
	if err != nil {
		return nil, err
	}
	want := len(first.payload())
	return computing(func() error {
		d, err := c.decode(s.Kind, message)
		if err == nil && len(d.payload()) != want {
			err = fmt.Errorf("%s decoded a payload of %d bytes, want %d", c.name, len(d.payload()), want)
		}
		return err
	}), nil
}

// memcpy copies a finished envelope.
func memcpy(e *Env, s Setting) (*Bench, error) {
	envelope, err := tracedpubsub.Encode(e.context(s), s.Payload())
	return computing(func() error {
		runtime.KeepAlive(bytes.Clone(envelope))
		return nil
	}), err
}

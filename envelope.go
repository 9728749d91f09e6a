// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"sync"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// Envelope is a message with its propagation fields, without Redis and without spans:
// for Lua scripts, other Redis clients, and tests. [Publish] and [Subscribe] write and
// read envelopes by themselves.
//
// An Envelope may be written as a literal, or come from [Decode]. The methods of a
// literal use the default options. An Envelope is not safe for concurrent use.
type Envelope struct {
	// Carrier holds the propagation fields.
	Carrier Carrier
	// Payload is what the publisher passed, byte for byte.
	Payload string

	cfg *config // nil in a literal: the defaults
}

var (
	// ErrMalformedEnvelope means that a message starts like an envelope of this package,
	// but is none: it was cut off, or another program changed it or wrote it wrong. The
	// payload is the message as it came, and there is no trace context.
	ErrMalformedEnvelope = wire.ErrMalformedEnvelope

	// ErrUnsupportedVersion means that a message is an envelope of a version that only a
	// later release of this package can read. The payload is the message as it came. Its
	// trace context can be read.
	ErrUnsupportedVersion = wire.ErrUnsupportedVersion

	// ErrCarrierTooLarge means that the names and values of the propagation fields of a
	// message exceed 16,384 bytes together. A consumer gets the payload without trace
	// context. A publisher leaves the fields out of the envelope.
	ErrCarrierTooLarge = wire.ErrCarrierTooLarge
)

// Encode returns an envelope of payload with the trace context and the baggage of ctx,
// ready to be published by something else than this package. It starts no span.
//
// Encode accepts every payload that go-redis accepts, and the envelope carries the bytes
// that go-redis would send. It returns an error for a payload of any other type, and the
// error of a MarshalBinary method that fails. A propagation field that no envelope can
// hold is left out and reported to the error handler; see [Envelope.AppendTo].
func Encode(ctx context.Context, payload any, opts ...Option) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.free()
	if err := e.encode(ctx, configOf(opts), payload); err != nil {
		return nil, err
	}
	return e.AppendTo(make([]byte, 0, e.Len())), nil
}

// Decode returns the payload and the propagation fields of a message. If the message is
// not an envelope, it is the payload itself, and that is no error; propagation fields in a
// JSON object, such as those of a CloudEvent, are read all the same.
//
// The error is [ErrMalformedEnvelope], [ErrUnsupportedVersion] or [ErrCarrierTooLarge]. It
// says why something is missing from the Envelope, which is valid beside an error, too,
// and is what a consumer would get. No message is refused or changed.
//
// The Envelope keeps the options. Those that set the propagators, the trust in publishers
// and the error handler count; the others have no effect.
func Decode(message string, opts ...Option) (Envelope, error) {
	e := Envelope{cfg: configOf(opts)}
	var err error
	e.Payload, err = e.cfg.decode(message, &e.Carrier)
	return e, err
}

// AppendTo appends the envelope to b, ready to be published. The same Envelope always
// gives the same bytes.
//
// A field is left out if its value is empty, if another member of an envelope has its
// name, or if it is not valid UTF-8. All fields are left out if they are larger than
// [ErrCarrierTooLarge] allows. Fields that are left out are reported to the error handler,
// apart from empty ones.
func (e *Envelope) AppendTo(b []byte) []byte {
	b, leftOut := wire.Append(b, &e.Carrier.fields, e.Payload)
	if leftOut != nil {
		e.config().handle(leftOut)
	}
	return b
}

// Extract returns ctx with the span context and the baggage of the producer. It starts no
// span. If the envelope has no valid span context, that of ctx stays. With
// [WithPublicEndpoint], the baggage of the producer is left out.
func (e *Envelope) Extract(ctx context.Context) context.Context {
	return e.config().extract(ctx, &e.Carrier)
}

func (e *Envelope) config() *config {
	if e.cfg == nil {
		return defaultConfig
	}
	return e.cfg
}

func configOf(opts []Option) *config {
	if len(opts) == 0 {
		return defaultConfig
	}
	return newConfig(opts...)
}

// decode returns the payload of message, and puts the fields that the propagator reads
// into carrier, which must be empty.
func (c *config) decode(message string, carrier *Carrier) (payload string, err error) {
	return wire.Decode(message, c.propagation().fields, &carrier.fields)
}

// encoder writes envelopes with the trace context of a ctx. The caller copies an envelope
// out of it: go-redis keeps commands for longer than an encoder keeps its memory.
type encoder struct {
	wire.Writer
	carrier   Carrier
	formatted []byte // room for payloads that have to be formatted
}

var encoders = sync.Pool{New: func() any { return &encoder{formatted: make([]byte, 0, 64)} }}

// encode makes the envelope of payload. The error is that of rediscmd.PayloadBytes.
func (e *encoder) encode(ctx context.Context, c *config, payload any) error {
	body, err := rediscmd.PayloadBytes(e.formatted, payload)
	if err != nil {
		return err
	}
	e.begin(ctx, c)
	e.Wrap(body)
	return nil
}

// begin writes the trace context and the baggage of ctx into the envelopes that follow.
func (e *encoder) begin(ctx context.Context, c *config) {
	var room [lenTraceparent]byte
	if traceparent, ok := c.formatTraceparent(ctx, room[:0]); ok {
		e.BeginTraceparent(traceparent)
		return
	}
	e.carrier = Carrier{}
	c.inject(ctx, &e.carrier)
	if leftOut := e.Begin(&e.carrier.fields); leftOut != nil {
		c.handle(leftOut)
	}
}

// free makes the memory of e available to the next message.
func (e *encoder) free() {
	e.carrier = Carrier{}
	e.Reset()
	encoders.Put(e)
}

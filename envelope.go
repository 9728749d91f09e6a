// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"sync"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// Envelope is a payload with its propagation fields, such as traceparent. It is for Lua
// scripts, other Redis clients and tests; [Publish] and [Subscribe] write and read
// envelopes by themselves.
//
// The methods of an Envelope that [Decode] has returned use the options of that call. Those
// of a literal use the default options. An Envelope is not safe for concurrent use.
type Envelope struct {
	// Carrier holds the propagation fields.
	Carrier Carrier
	// Payload is what the publisher passed, byte for byte.
	Payload string

	cfg *config // nil in a literal: the defaults
}

var (
	// ErrMalformedEnvelope means that a message starts like an envelope but is not one,
	// for example because it was cut off. The payload is the whole message, and there is
	// no trace context.
	ErrMalformedEnvelope = wire.ErrMalformedEnvelope

	// ErrUnsupportedVersion means that a message is an envelope of a later version of the
	// wire format. The payload is the whole message. The trace context is read nevertheless.
	ErrUnsupportedVersion = wire.ErrUnsupportedVersion

	// ErrCarrierTooLarge means that the names and values of the propagation fields exceed
	// 16,384 bytes in total. A publisher writes the envelope without them. A consumer
	// gets the payload without trace context.
	ErrCarrierTooLarge = wire.ErrCarrierTooLarge
)

// Encode returns an envelope with payload and with the trace context and baggage of ctx.
// It is for messages that this package does not publish, such as those of a Lua script.
// It starts no span.
//
// Encode accepts the types that go-redis accepts, and the envelope holds the bytes that
// go-redis would send. It returns an error if payload has another type, or if its
// MarshalBinary method fails. A propagation field that an envelope cannot hold is left
// out and reported to the error handler; see [Envelope.AppendTo].
func Encode(ctx context.Context, payload any, opts ...Option) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.free()
	if err := e.encode(ctx, configOf(opts), payload, nil, ""); err != nil {
		return nil, err
	}
	return e.AppendTo(make([]byte, 0, e.Len())), nil
}

// Decode returns the payload and the propagation fields of a message. If the message is
// not an envelope, the payload is the whole message, and the error is nil.
//
// In an envelope, each string member is a field, except those with another meaning, such as
// payload. In any other JSON object, such as a CloudEvent, only members that the Fields method
// of the propagator names are fields. A field that occurs twice, or that has half of a
// surrogate pair in an escape, is left out.
//
// The error is [ErrMalformedEnvelope], [ErrUnsupportedVersion] or [ErrCarrierTooLarge].
// Beside an error, the Envelope has the payload and the fields that a consumer gets.
//
// [WithPropagators], [WithPublicEndpoint], [WithForeignEnvelope] and [WithErrorHandler] have
// an effect; other options do not.
func Decode(message string, opts ...Option) (Envelope, error) {
	e := Envelope{cfg: configOf(opts)}
	var err error
	e.Payload, err = e.cfg.decode(message, &e.Carrier, nil)
	return e, err
}

// AppendTo appends the envelope to b and returns the extended buffer. It is the message
// to publish. The same Envelope always gives the same bytes.
//
// A field is left out if its value is empty, if it has the name of another member of an
// envelope, such as "payload", or if it is not valid UTF-8. All fields are left out if
// they exceed the limit of [ErrCarrierTooLarge]. Fields that are left out are reported to
// the error handler, except those with an empty value.
func (e *Envelope) AppendTo(b []byte) []byte {
	b, leftOut := wire.Append(b, &e.Carrier.fields, e.Payload)
	if leftOut != nil {
		e.config().handle(leftOut)
	}
	return b
}

// Extract returns ctx with the span context and the baggage of the producer. It starts no
// span. If the envelope has no valid span context, the span of ctx stays.
//
// With [WithPublicEndpoint], the returned context does not have the producer's baggage.
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

// decode returns the payload of message, and puts its fields into carrier, which must be
// empty, and its accounting into a, unless that is nil.
func (c *config) decode(message string, carrier *Carrier, a *wire.Accounting) (payload string, err error) {
	payload, err = wire.Decode(message, c.propagation().fields, &carrier.fields, a)
	if c.foreignEnvelope != nil && isForeign(message, payload, err) {
		return c.decodeForeign(message, carrier, err)
	}
	return payload, err
}

// encoder writes envelopes with the trace context of a context. The caller copies each
// envelope, since go-redis may keep the command for longer than the encoder is in use.
type encoder struct {
	wire.Writer
	carrier   Carrier
	formatted []byte // memory for payloads that are formatted, such as numbers
}

var encoders = sync.Pool{New: func() any { return &encoder{formatted: make([]byte, 0, 64)} }}

// encode writes the envelope of payload. If l is not nil, the message gets the next number of
// channel. The error is that of rediscmd.PayloadBytes.
func (e *encoder) encode(ctx context.Context, c *config, payload any, l *ledger, channel string) error {
	body, err := rediscmd.PayloadBytes(e.formatted, payload)
	if err != nil {
		return err
	}
	e.begin(ctx, c)
	e.wrap(body, l, channel)
	return nil
}

// wrap writes the envelope of body, after begin.
func (e *encoder) wrap(body []byte, l *ledger, channel string) {
	if l != nil {
		e.Account(l.next(channel))
	}
	e.Wrap(body)
}

// begin sets the context whose trace context and baggage the next envelopes carry.
func (e *encoder) begin(ctx context.Context, c *config) {
	var room [wire.LenTraceparent]byte
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// Envelope is a message with its trace context, apart from Redis and from spans:
// for Lua scripts, other Redis clients, and tests. [Publish] and [Subscribe] do
// with envelopes what is to be done, without this type.
//
// An Envelope may be written as a literal, or come from [Decode].
type Envelope struct {
	// Carrier holds the propagation fields.
	Carrier Carrier
	// Payload is what the publisher passed, byte for byte.
	Payload string

	cfg *config // nil in a literal: the defaults
}

var (
	// ErrMalformedEnvelope says that a message begins like an envelope of this
	// package and is none: it was cut off, or another program changed it or wrote
	// it wrong. The message is delivered as it came, without trace context.
	ErrMalformedEnvelope = errors.New("tracedpubsub: malformed envelope")

	// ErrUnsupportedVersion says that a message is an envelope of a version that
	// only a later release of this package can read. The message is delivered as
	// it came, with its trace context.
	ErrUnsupportedVersion = errors.New("tracedpubsub: unsupported envelope version")

	// ErrCarrierTooLarge says that the names and values of the propagation fields
	// of a message exceed 16,384 bytes together. The payload is delivered, without
	// trace context; on the publishing side, the fields are left out.
	ErrCarrierTooLarge = errors.New("tracedpubsub: propagation fields exceed 16384 bytes")
)

// Encode returns payload in an envelope with the trace context and the baggage
// of ctx, for a publisher that is not one of this package. It starts no span.
//
// It takes every payload that go-redis takes, and writes the bytes that go-redis
// would. Any other type is an error, and so is that of a MarshalBinary method;
// the bytes are nil then. A propagation field that no envelope can hold is left
// out, and the error handler hears of it.
func Encode(ctx context.Context, payload any, opts ...Option) ([]byte, error) {
	e := encoders.Get().(*encoder)
	defer e.free()
	message, err := e.encode(ctx, configOf(opts), payload)
	if err != nil {
		return nil, err
	}
	return viewBytes(message.text()), nil // nobody else has this string
}

// Decode takes a message apart. What is not an envelope is a payload as it
// stands, and no error; if it is a JSON object with propagation fields of its
// own, as a CloudEvent may be, they are in the Carrier.
//
// The Envelope is what a consumer gets, beside an error too: the error is
// [ErrMalformedEnvelope], [ErrUnsupportedVersion] or [ErrCarrierTooLarge] and
// says why something is missing from it. No message is refused or changed.
//
// Of the options, those that set the propagator, the trust in publishers and the
// error handler count, and they go with the Envelope.
func Decode(message string, opts ...Option) (Envelope, error) {
	e := Envelope{cfg: configOf(opts)}
	var err error
	e.Payload, err = decode(message, e.cfg.propagation().fields, &e.Carrier)
	return e, err
}

// AppendTo appends the envelope's bytes, ready to be published, to b. The same
// Envelope always gives the same bytes.
//
// Fields are left out that have an empty value, are called like another member
// of an envelope, or are not valid UTF-8, and all of them if they are larger than
// [ErrCarrierTooLarge] allows. The error handler, which is otel.Handle for a
// literal, hears of all but the empty ones.
func (e *Envelope) AppendTo(b []byte) []byte {
	b, leftOut := appendEnvelope(b, &e.Carrier, viewBytes(e.Payload))
	if leftOut != nil {
		e.config().handle(leftOut)
	}
	return b
}

// Extract returns ctx with the span context and the baggage of the producer; it
// starts no span. If the envelope has no valid span context, that of ctx stays.
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

const (
	// maxCarrier is how many bytes the names and values of the propagation fields
	// may have together.
	maxCarrier = 16_384
	// maxDocumentDepth keeps documents within what the JSON parsers of other
	// languages take; a deeper one travels as text.
	maxDocumentDepth = 1_000
)

// appendEnvelope appends the canonical bytes of an envelope. The error tells
// which fields of c were left out; the bytes are a valid envelope all the same.
func appendEnvelope(b []byte, c *Carrier, payload []byte) ([]byte, error) {
	b, leftOut := appendHead(b, c)
	e := pieces{front: b}
	e.wrap(payload)
	b = append(e.front, e.asItIs...)
	return append(b, e.back...), leftOut
}

// appendHead appends what an envelope has in front of its payload.
func appendHead(b []byte, c *Carrier) ([]byte, error) {
	var room [8]carrierField
	fields, leftOut := writable(room[:0], c)
	b = append(b, `{"tracedpubsub":1`...)
	for _, f := range fields {
		b = append(b, ',')
		b = jsontext.AppendQuoted(b, viewBytes(f.name))
		b = append(b, ':')
		b = jsontext.AppendQuoted(b, viewBytes(f.value))
	}
	return b, leftOut
}

// pieces are those of an envelope, in their order. The payload is not copied where
// its bytes are in the envelope as they are: it may be large.
type pieces struct {
	front  []byte
	asItIs []byte
	back   string
}

// wrap appends to the front, the head of an envelope, what comes before the payload,
// in the first form that fits its bytes, and sets the rest.
func (e *pieces) wrap(payload []byte) {
	if jsontext.Document(payload, maxDocumentDepth) {
		e.front = append(e.front, `,"size":`...)
		e.front = strconv.AppendInt(e.front, int64(len(payload)), 10)
		e.front = append(e.front, `,"payload":`...)
		e.asItIs, e.back = payload, `}`
		return
	}
	switch plain, valid := jsontext.Text(payload); {
	case plain:
		e.front = append(e.front, `,"payload":"`...)
		e.asItIs, e.back = payload, `"}`
	case valid:
		e.front = append(e.front, `,"payload":`...)
		e.front = jsontext.AppendQuoted(e.front, payload)
		e.asItIs, e.back = nil, `}`
	default:
		e.front = append(e.front, `,"payload_base64":"`...)
		e.front = base64.StdEncoding.AppendEncode(e.front, payload)
		e.asItIs, e.back = nil, `"}`
	}
}

func (e *pieces) len() int { return len(e.front) + len(e.asItIs) + len(e.back) }

func (e *pieces) appendTo(b []byte) []byte {
	b = append(b, e.front...)
	b = append(b, e.asItIs...)
	return append(b, e.back...)
}

// text puts the pieces together, in memory that is not cleared before.
func (e *pieces) text() string {
	var b strings.Builder
	b.Grow(e.len())
	b.Write(e.front)
	b.Write(e.asItIs)
	b.WriteString(e.back)
	return b.String()
}

// writable appends to fields those of c that go into an envelope, in their
// order, and tells which do not, apart from empty ones.
func writable(fields []carrierField, c *Carrier) ([]carrierField, error) {
	var leftOut []error
	size, w3c := 0, 0
	for name, value := range c.all() {
		if value == "" {
			continue
		}
		if memberNamed(name) != memberOther {
			leftOut = append(leftOut, fmt.Errorf("tracedpubsub: propagation field %q left out: an envelope has another member of that name", name))
			continue
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			leftOut = append(leftOut, fmt.Errorf("tracedpubsub: propagation field %q left out: not valid UTF-8", name))
			continue
		}
		fields = append(fields, carrierField{name, value})
		size += len(name) + len(value)
		if c.w3c(name) != nil {
			w3c++
		}
	}
	if size > maxCarrier {
		leftOut = append(leftOut, fmt.Errorf("%w: all %d left out, of %d bytes", ErrCarrierTooLarge, len(fields), size))
		fields = fields[:0]
		w3c = 0
	}
	slices.SortFunc(fields[w3c:], func(a, b carrierField) int { return cmp.Compare(a.name, b.name) })
	return fields, errors.Join(leftOut...)
}

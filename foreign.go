// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import "github.com/tracedpubsub/tracedpubsub/internal/wire"

// WithForeignEnvelope sets a function that reads envelopes of another kind, such as those of
// a framework in another language. It is asked about messages that are not envelopes of this
// package. If it returns true, consumers get the payload and the propagation fields of the
// Envelope that it returns. If it returns false, they get the message as it is.
//
// Without read, propagation fields such as traceparent are found at the top level of any JSON
// object, and the whole object is the payload.
//
// The fields of the Envelope have the limit of [ErrCarrierTooLarge], and no more trust than
// those of other messages; see [WithPublicEndpoint]. read gets whatever clients publish.
//
// read is called at most once for each message, possibly from several goroutines. If it
// panics, the message is delivered as it is, and the panic is reported to the error handler.
//
// Default: none.
func WithForeignEnvelope(read func(message string) (Envelope, bool)) Option {
	return optionFunc(func(c *config) {
		if read != nil {
			c.foreignEnvelope = read
		}
	})
}

// isForeign reports whether message is no envelope of this package, neither a broken one nor
// one of a later version. payload and err are what wire.Decode has returned.
func isForeign(message, payload string, err error) bool {
	// The payload of an envelope is shorter than the envelope.
	return len(payload) == len(message) && (err == nil || err == ErrCarrierTooLarge) //nolint:errorlint // Decode does not wrap it
}

// decodeForeign does what decode does for a message that is foreign. If the function of
// [WithForeignEnvelope] does not know it either, the results are those of wire.Decode:
// carrier as it is, message and err.
func (c *config) decodeForeign(message string, carrier *Carrier, err error) (string, error) {
	e, ok := c.readForeign(message)
	if !ok {
		return message, err
	}
	if e.Carrier.fields.Size() > wire.MaxFields {
		*carrier = Carrier{}
		return e.Payload, ErrCarrierTooLarge
	}
	*carrier = e.Carrier
	return e.Payload, nil
}

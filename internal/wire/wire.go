// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire reads and writes envelopes: the JSON objects that carry a payload
// and its propagation fields through Redis.
//
//	{"tracedpubsub":1,"traceparent":"00-…-01","payload":"hello"}
//	{"tracedpubsub":1,"traceparent":"00-…-01","baggage":"tenant=acme","size":8,"payload":{"id":7}}
//	{"tracedpubsub":1,"traceparent":"00-…-01","payload_base64":"//79"}
//
// [Writer] writes the bytes of an envelope (write.go), and [Decode] reads them (read.go).
// [Fields] holds the propagation fields, and [Accounting] what a publisher says about the delivery.
// The package does not know Redis, nor the meaning of the fields.
package wire

import "errors"

// The errors of a message. Package tracedpubsub exports and documents them.
var (
	ErrMalformedEnvelope  = errors.New("tracedpubsub: malformed envelope")
	ErrUnsupportedVersion = errors.New("tracedpubsub: unsupported envelope version")
	ErrCarrierTooLarge    = errors.New("tracedpubsub: propagation fields exceed 16384 bytes")
)

const (
	// MaxFields is the maximum size of the names and values of all propagation fields of a
	// message, in bytes.
	MaxFields = 16_384
	// MaxDocumentDepth is the maximum depth of a JSON document that is embedded in an
	// envelope. A deeper document is written as text, because JSON parsers of other languages
	// refuse a message that is too deep: that of .NET has a limit of 64 levels by default,
	// and that of Ruby one of 100.
	MaxDocumentDepth = 60
)

const (
	// marker is the start of an envelope of any version. A message that starts with it
	// and is not an envelope is malformed.
	marker = `{"tracedpubsub":`
	// version1 is the start of an envelope of version 1.
	version1 = marker + "1"
)

// member is a kind of members of an envelope.
type member int

const (
	memberOther member = iota // a propagation field with any other name
	memberTraceparent
	memberTracestate
	memberBaggage
	memberMarker
	memberSize
	memberPayload
	memberPayloadBase64
	memberTime
	memberSource
	memberSequence
)

// isField reports whether such a member is a propagation field, if it is a string.
func (m member) isField() bool { return m <= memberBaggage }

// isAccounting reports whether such a member belongs to an [Accounting].
func (m member) isAccounting() bool { return m >= memberTime }

func memberNamed(name string) member {
	switch name {
	case nameTraceparent:
		return memberTraceparent
	case nameTracestate:
		return memberTracestate
	case nameBaggage:
		return memberBaggage
	case "tracedpubsub":
		return memberMarker
	case "size":
		return memberSize
	case "payload":
		return memberPayload
	case "payload_base64":
		return memberPayloadBase64
	case "ts":
		return memberTime
	case "src":
		return memberSource
	case "seq":
		return memberSequence
	}
	return memberOther
}

// longestMember is the length of the longest of the names above.
const longestMember = len("payload_base64")

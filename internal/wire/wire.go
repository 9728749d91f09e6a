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
// [Fields] holds the propagation fields. The package does not know Redis, nor the meaning of
// the fields.
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
	// envelope. The JSON parsers of other languages have limits, too. A deeper document is
	// written as text.
	MaxDocumentDepth = 1_000
)

const (
	// marker is the start of an envelope of any version. A message that starts with it
	// and is not an envelope is malformed.
	marker = `{"tracedpubsub":`
	// version1 is the start of an envelope of version 1.
	version1 = marker + "1"
)

// member is a member of an envelope that is not a propagation field.
type member int

const (
	memberOther member = iota // any other name
	memberMarker
	memberSize
	memberPayload
	memberPayloadBase64
	memberTime
	memberSource
	memberSequence
)

func memberNamed(name string) member {
	switch name {
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire reads and writes envelopes: the JSON objects that carry a payload
// and its propagation fields through Redis.
//
//	{"tracedpubsub":1,"traceparent":"00-…-01","payload":"hello"}
//	{"tracedpubsub":1,"traceparent":"00-…-01","baggage":"tenant=acme","size":8,"payload":{"id":7}}
//	{"tracedpubsub":1,"traceparent":"00-…-01","payload_base64":"//79"}
//
// [Writer] writes them, [Decode] reads them, and [Fields] are the propagation
// fields. The package takes bytes and gives bytes: it does not know Redis, nor what
// the fields mean.
package wire

import "errors"

// The errors of a message. Package tracedpubsub exports them to its users, and
// documents them there.
var (
	ErrMalformedEnvelope  = errors.New("tracedpubsub: malformed envelope")
	ErrUnsupportedVersion = errors.New("tracedpubsub: unsupported envelope version")
	ErrCarrierTooLarge    = errors.New("tracedpubsub: propagation fields exceed 16384 bytes")
)

const (
	// MaxFields is how many bytes the names and values of the propagation fields of
	// a message may have together.
	MaxFields = 16_384
	// MaxDocumentDepth keeps documents within what the JSON parsers of other
	// languages accept. A deeper document is written as text.
	MaxDocumentDepth = 1_000
)

const (
	// marker is the start of every message that claims to be an envelope.
	marker = `{"tracedpubsub":`
	// version1 is the start of an envelope of version 1, as [Writer] writes it.
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

// longestMember is the length of the longest of these names.
const longestMember = len("payload_base64")

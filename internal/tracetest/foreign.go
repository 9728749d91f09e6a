// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"strings"

	"github.com/tracedpubsub/tracedpubsub"
)

// A message of a publisher that does not use the library: the traceparent that it
// carries, the member that holds it, and an envelope of the payload hello.
const (
	ForeignParent      = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ForeignTraceparent = `"traceparent":"` + ForeignParent + `"`
	ForeignEnvelope    = `{"tracedpubsub":1,` + ForeignTraceparent + `,"payload":"hello"}`
)

// tooLarge is a member that makes a carrier larger than it may be.
var tooLarge = `"baggage":"tenant=` + strings.Repeat("x", 16_384) + `"`

// ForeignMessage is a message of a publisher that does not use the library, and what a
// consumer gets of it.
type ForeignMessage struct {
	Name, Reason string
	Message      string
	Payload      string // "": the message as it is
	Err          error
	Envelope     string // the attribute tracedpubsub.envelope; "": none
	Producer     bool   // it carries ForeignParent
}

// ForeignMessages has messages of every kind, envelopes among them.
var ForeignMessages = []ForeignMessage{
	{Name: "text", Reason: "the usual message", Message: "hello"},
	{Name: "empty", Reason: "an empty message is a message", Message: ""},
	{Name: "space", Reason: "nothing is trimmed", Message: " \t\r\n "},
	{Name: "number", Reason: "JSON that is no object", Message: "42"},
	{Name: "null", Reason: "JSON that is no object", Message: "null"},
	{Name: "string", Reason: "JSON that is no object keeps its quotes", Message: `"hello"`},
	{Name: "array", Reason: "an array has no members", Message: `[{` + ForeignTraceparent + `}]`},
	{Name: "object", Reason: "JSON keeps its spaces and the order of its members", Message: `{ "b": 1.0, "a": [ ] }`},
	{Name: "empty object", Reason: "the least object", Message: `{}`},
	{Name: "payload member", Reason: "an object with a payload and no marker is no envelope", Message: `{"payload":"hello"}`},
	{Name: "name of a marker in a value", Reason: "only a member is a marker", Message: `{"a":{"tracedpubsub":1,"payload":"x"}}`},
	{Name: "bytes", Reason: "no UTF-8", Message: "\xff\xfe\x00\x01"},
	{Name: "object that is no UTF-8", Reason: "is no JSON either", Message: "{\"a\":\"\xff\"," + ForeignTraceparent + "}"},
	{Name: "byte order mark", Reason: "is part of the message", Message: "\ufeff{}"},
	{Name: "NUL", Reason: "is a byte like others", Message: "a\x00b"},
	{Name: "CRLF", Reason: "the protocol's own line ends", Message: "$5\r\nhello\r\n"},
	{Name: "large", Reason: "longer than any buffer", Message: strings.Repeat("0123456789abcdef", 1<<16)},

	{Name: "CloudEvent", Reason: "its distributed-tracing extension is a carrier", Producer: true,
		Message: `{"specversion":"1.0","type":"report","source":"/api","id":"7",` + ForeignTraceparent + `,"tracestate":"vendor=1","data":{"n":1}}`},
	{Name: "traceparent alone", Reason: "a hand-made envelope of somebody else", Message: `{` + ForeignTraceparent + `}`, Producer: true},
	{Name: "traceparent after spaces", Reason: "JSON may have them", Message: "\n { " + ForeignTraceparent + " } ", Producer: true},
	{Name: "traceparent that is none", Reason: "a member of that name that means something else", Message: `{"traceparent":"me"}`},
	{Name: "traceparent of another type", Reason: "a carrier member is a string", Message: `{"traceparent":7}`},
	{Name: "traceparent twice", Reason: "nobody knows which one is meant", Message: `{` + ForeignTraceparent + `,` + ForeignTraceparent + `}`},
	{Name: "traceparent deeper down", Reason: "it may mean something else", Message: `{"data":{` + ForeignTraceparent + `}}`},
	{Name: "Traceparent", Reason: "names are case-sensitive", Message: `{"Traceparent":"` + ForeignParent + `"}`},
	{Name: "large carrier, no envelope", Reason: "a carrier above the limit is not read", Err: tracedpubsub.ErrCarrierTooLarge,
		Envelope: "carrier_too_large", Message: `{` + ForeignTraceparent + `,` + tooLarge + `}`},

	{Name: "envelope", Reason: "of a script that knows the format", Message: ForeignEnvelope, Payload: "hello", Producer: true},
	{Name: "envelope with spaces, in another order", Reason: "JSON has no order", Message: `{ "payload" : "hello" , ` + ForeignTraceparent + ` , "tracedpubsub" : 1 }`,
		Payload: "hello", Producer: true},
	{Name: "envelope with a document", Reason: "another JSON value is its text", Message: `{"tracedpubsub":1,"payload":{"n": 1.0}}`, Payload: `{"n": 1.0}`},
	{Name: "envelope with bytes", Reason: "base64", Message: `{"tracedpubsub":1,"payload_base64":"//79"}`, Payload: "\xff\xfe\xfd"},
	{Name: "envelope with accounting", Reason: "the members that are reserved for later are skipped",
		Message: `{"tracedpubsub":1,` + ForeignTraceparent + `,"ts":1,"src":"a","seq":7,"size":2,"payload":{}}`, Payload: "{}", Producer: true},
	{Name: "large carrier in an envelope", Reason: "the payload is delivered all the same", Err: tracedpubsub.ErrCarrierTooLarge,
		Envelope: "carrier_too_large", Message: `{"tracedpubsub":1,` + ForeignTraceparent + `,` + tooLarge + `,"payload":"hello"}`, Payload: "hello"},

	{Name: "later version", Reason: "a later release may have published it, and its carrier can be read", Message: `{"tracedpubsub":2,` + ForeignTraceparent + `,"body":"hello"}`,
		Err: tracedpubsub.ErrUnsupportedVersion, Envelope: "unsupported_version", Producer: true},
	{Name: "much later version", Reason: "of any length", Message: `{"tracedpubsub":123456789012345678901234567890,"payload":"hello"}`,
		Err: tracedpubsub.ErrUnsupportedVersion, Envelope: "unsupported_version"},
	{Name: "version 0", Reason: "there never was one", Message: `{"tracedpubsub":0,"payload":"hello"}`, Err: tracedpubsub.ErrMalformedEnvelope, Envelope: "malformed"},
	{Name: "version in a string", Reason: "the marker is a number", Message: `{"tracedpubsub":"1","payload":"hello"}`, Err: tracedpubsub.ErrMalformedEnvelope, Envelope: "malformed"},
	{Name: "version 1.0", Reason: "the marker is the text 1", Message: `{"tracedpubsub":1.0,"payload":"hello"}`, Err: tracedpubsub.ErrMalformedEnvelope, Envelope: "malformed"},
	{Name: "no payload", Reason: "an envelope has one", Message: `{"tracedpubsub":1,` + ForeignTraceparent + `}`, Err: tracedpubsub.ErrMalformedEnvelope, Envelope: "malformed"},
	{Name: "two payloads", Reason: "nobody knows which one is meant", Message: `{"tracedpubsub":1,"payload":"a","payload_base64":"YQ=="}`,
		Err: tracedpubsub.ErrMalformedEnvelope, Envelope: "malformed"},
	{Name: "broken base64", Reason: "half a payload is none", Message: `{"tracedpubsub":1,"payload_base64":"//7"}`, Err: tracedpubsub.ErrMalformedEnvelope, Envelope: "malformed"},
	{Name: "text behind", Reason: "JSON ends where it ends", Message: ForeignEnvelope + "!", Err: tracedpubsub.ErrMalformedEnvelope, Envelope: "malformed"},
}

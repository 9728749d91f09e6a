// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

const (
	foreignParent      = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	foreignTraceparent = `"traceparent":"` + foreignParent + `"`
	foreignEnvelope    = `{"tracedpubsub":1,` + foreignTraceparent + `,"payload":"hello"}`
)

// tooLarge is a member that makes a carrier larger than it may be.
var tooLarge = `"baggage":"tenant=` + strings.Repeat("x", 16_384) + `"`

// foreignMessage is a message of a publisher that does not use this package.
type foreignMessage struct {
	name, reason string
	message      string
	payload      string // ""; the message as it came
	err          error
	envelope     string // the attribute tracedpubsub.envelope; "": none
	producer     bool   // it carries foreignParent
}

var foreignMessages = []foreignMessage{
	{name: "text", reason: "the usual message", message: "hello"},
	{name: "empty", reason: "an empty message is a message", message: ""},
	{name: "space", reason: "nothing is trimmed", message: " \t\r\n "},
	{name: "number", reason: "JSON that is no object", message: "42"},
	{name: "null", reason: "JSON that is no object", message: "null"},
	{name: "string", reason: "JSON that is no object keeps its quotes", message: `"hello"`},
	{name: "array", reason: "an array has no members", message: `[{` + foreignTraceparent + `}]`},
	{name: "object", reason: "JSON keeps its spaces and the order of its members", message: `{ "b": 1.0, "a": [ ] }`},
	{name: "empty object", reason: "the least object", message: `{}`},
	{name: "payload member", reason: "an object with a payload and no marker is no envelope", message: `{"payload":"hello"}`},
	{name: "name of a marker in a value", reason: "only a member is a marker", message: `{"a":{"tracedpubsub":1,"payload":"x"}}`},
	{name: "bytes", reason: "no UTF-8", message: "\xff\xfe\x00\x01"},
	{name: "object that is no UTF-8", reason: "is no JSON either", message: "{\"a\":\"\xff\"," + foreignTraceparent + "}"},
	{name: "byte order mark", reason: "is part of the message", message: "\ufeff{}"},
	{name: "NUL", reason: "is a byte like others", message: "a\x00b"},
	{name: "CRLF", reason: "the protocol's own line ends", message: "$5\r\nhello\r\n"},
	{name: "large", reason: "longer than any buffer", message: strings.Repeat("0123456789abcdef", 1<<16)},

	{name: "CloudEvent", reason: "its distributed-tracing extension is a carrier", producer: true,
		message: `{"specversion":"1.0","type":"report","source":"/api","id":"7",` + foreignTraceparent + `,"tracestate":"vendor=1","data":{"n":1}}`},
	{name: "traceparent alone", reason: "a hand-made envelope of somebody else", message: `{` + foreignTraceparent + `}`, producer: true},
	{name: "traceparent after spaces", reason: "JSON may have them", message: "\n { " + foreignTraceparent + " } ", producer: true},
	{name: "traceparent that is none", reason: "a member of that name that means something else", message: `{"traceparent":"me"}`},
	{name: "traceparent of another type", reason: "a carrier member is a string", message: `{"traceparent":7}`},
	{name: "traceparent twice", reason: "nobody knows which one is meant", message: `{` + foreignTraceparent + `,` + foreignTraceparent + `}`},
	{name: "traceparent deeper down", reason: "it may be about something else", message: `{"data":{` + foreignTraceparent + `}}`},
	{name: "Traceparent", reason: "names are case-sensitive", message: `{"Traceparent":"` + foreignParent + `"}`},
	{name: "large carrier, no envelope", reason: "one that could be a weapon is not read", err: tracedpubsub.ErrCarrierTooLarge,
		envelope: "carrier_too_large", message: `{` + foreignTraceparent + `,` + tooLarge + `}`},

	{name: "envelope", reason: "of a script that knows the format", message: foreignEnvelope, payload: "hello", producer: true},
	{name: "envelope with spaces, in another order", reason: "JSON has no order", message: `{ "payload" : "hello" , ` + foreignTraceparent + ` , "tracedpubsub" : 1 }`,
		payload: "hello", producer: true},
	{name: "envelope with a document", reason: "another JSON value is its text", message: `{"tracedpubsub":1,"payload":{"n": 1.0}}`, payload: `{"n": 1.0}`},
	{name: "envelope with bytes", reason: "base64", message: `{"tracedpubsub":1,"payload_base64":"//79"}`, payload: "\xff\xfe\xfd"},
	{name: "envelope with accounting", reason: "what is reserved for later is read over",
		message: `{"tracedpubsub":1,` + foreignTraceparent + `,"ts":1,"src":"a","seq":7,"size":2,"payload":{}}`, payload: "{}", producer: true},
	{name: "large carrier in an envelope", reason: "the payload is delivered all the same", err: tracedpubsub.ErrCarrierTooLarge,
		envelope: "carrier_too_large", message: `{"tracedpubsub":1,` + foreignTraceparent + `,` + tooLarge + `,"payload":"hello"}`, payload: "hello"},

	{name: "later version", reason: "a later release may have published it; its carrier can be read", message: `{"tracedpubsub":2,` + foreignTraceparent + `,"body":"hello"}`,
		err: tracedpubsub.ErrUnsupportedVersion, envelope: "unsupported_version", producer: true},
	{name: "much later version", reason: "of any length", message: `{"tracedpubsub":123456789012345678901234567890,"payload":"hello"}`,
		err: tracedpubsub.ErrUnsupportedVersion, envelope: "unsupported_version"},
	{name: "version 0", reason: "there never was one", message: `{"tracedpubsub":0,"payload":"hello"}`, err: tracedpubsub.ErrMalformedEnvelope, envelope: "malformed"},
	{name: "version in a string", reason: "the marker is a number", message: `{"tracedpubsub":"1","payload":"hello"}`, err: tracedpubsub.ErrMalformedEnvelope, envelope: "malformed"},
	{name: "version 1.0", reason: "the marker is the text 1", message: `{"tracedpubsub":1.0,"payload":"hello"}`, err: tracedpubsub.ErrMalformedEnvelope, envelope: "malformed"},
	{name: "no payload", reason: "an envelope has one", message: `{"tracedpubsub":1,` + foreignTraceparent + `}`, err: tracedpubsub.ErrMalformedEnvelope, envelope: "malformed"},
	{name: "two payloads", reason: "nobody knows which one is meant", message: `{"tracedpubsub":1,"payload":"a","payload_base64":"YQ=="}`,
		err: tracedpubsub.ErrMalformedEnvelope, envelope: "malformed"},
	{name: "broken base64", reason: "half a payload is none", message: `{"tracedpubsub":1,"payload_base64":"//7"}`, err: tracedpubsub.ErrMalformedEnvelope, envelope: "malformed"},
	{name: "text behind", reason: "JSON ends where it ends", message: foreignEnvelope + "!", err: tracedpubsub.ErrMalformedEnvelope, envelope: "malformed"},
}

// truncated are all beginnings of an envelope: those that are long enough to say
// what they were are malformed, the others text.
func truncated() []foreignMessage {
	var rows []foreignMessage
	for n := 1; n < len(foreignEnvelope); n++ {
		row := foreignMessage{name: fmt.Sprintf("first %d bytes", n), reason: "cut off on the way", message: foreignEnvelope[:n]}
		if n >= len(`{"tracedpubsub":`) {
			row.err, row.envelope = tracedpubsub.ErrMalformedEnvelope, "malformed"
		}
		rows = append(rows, row)
	}
	return rows
}

// Nothing of what others publish is lost, changed, refused or out of order.
func TestForeignMessages(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		rows := slices.Concat(foreignMessages, truncated())
		ctx, consumers := testContext(t), newRecorder(t)
		var told errorLog
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers), told.option())
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		published := make(chan error, 1)
		go func() {
			for _, row := range rows {
				if err := rdb.Publish(ctx, "reports", row.message).Err(); err != nil {
					published <- fmt.Errorf("publish %s: %w", row.name, err)
					return
				}
			}
			published <- nil
		}()
		var got []*tracedpubsub.Message
		for _, m := range sub.Messages(ctx) {
			if got = append(got, m); len(got) == len(rows) {
				break
			}
		}
		if err := <-published; err != nil || len(got) != len(rows) {
			t.Fatalf("%d of %d messages came, %v", len(got), len(rows), err)
		}
		spans := consumers.spans(t, len(rows))
		for i, row := range rows {
			t.Run(row.name, func(t *testing.T) { assertForeign(t, rdb, row, got[i], spans[i]) })
		}
		told.assertNone(t)
	})
}

func assertForeign(t *testing.T, rdb *redis.Client, row foreignMessage, m *tracedpubsub.Message, span sdktrace.ReadOnlySpan) {
	want := row.payload
	if want == "" {
		want = row.message
	}
	if m.Payload != want {
		t.Errorf("got %.200q, want %.200q: %s", m.Payload, want, row.reason)
	}
	if !errors.Is(m.Err, row.err) {
		t.Errorf("Err is %v, want %v: %s", m.Err, row.err, row.reason)
	}
	var extra []attribute.KeyValue
	if row.envelope != "" {
		extra = append(extra, attribute.String("tracedpubsub.envelope", row.envelope))
	}
	assertAttributes(t, span, served(rdb, "process", "reports", extra...)...)
	assertSucceeded(t, span)
	assertLinks(t, span)
	if !row.producer {
		assertRoot(t, span)
		if sc := trace.SpanContextFromContext(m.Extract(t.Context())); sc.IsValid() {
			t.Errorf("Extract gives the producer %v, want none: %s", sc.SpanID(), row.reason)
		}
		return
	}
	parent := span.Parent()
	if got := fmt.Sprintf("00-%v-%v-%v", parent.TraceID(), parent.SpanID(), parent.TraceFlags()); got != foreignParent {
		t.Errorf("the parent is %s, want %s: %s", got, foreignParent, row.reason)
	}
}

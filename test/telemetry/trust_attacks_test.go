// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/tracedpubsub/tracedpubsub"
)

const (
	forgedTrace  = "0af7651916cd43dd8448eb211c80319c"
	forgedSpan   = "b7ad6b7169203331"
	forgedParent = "00-" + forgedTrace + "-" + forgedSpan + "-01"
	otherParent  = "00-11111111111111111111111111111111-2222222222222222-01"
)

var traceContextOnly = propagation.TraceContext{}

// envelopeWith returns an envelope of the payload hello, with other members before it.
func envelopeWith(members string) string {
	return `{"tracedpubsub":1,` + members + `,"payload":"hello"}`
}

// forged is envelopeWith with a forged producer.
func forged(members string) string {
	return envelopeWith(`"traceparent":"` + forgedParent + `",` + members)
}

// list joins n members, which differ in their number.
func list(n int, format string) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(members, ",")
}

func attacks() []attack {
	return append(carrierAttacks(), jsonAttacks()...)
}

// carrierAttacks are about the values of propagation fields.
func carrierAttacks() []attack {
	state := list(32, "v%03d="+strings.Repeat("x", 256))
	const room = 16_384 - len("traceparent"+forgedParent+"baggage")
	return []attack{{
		name: "forged producer", reason: "a publisher can forge a producer",
		message: envelopeWith(`"traceparent":"` + forgedParent + `"`), payload: "hello", forged: true,
	}, {
		name: "giant baggage", reason: "the most that W3C Baggage and its propagator allow, 8,192 bytes",
		message: forged(`"baggage":"a=` + strings.Repeat("x", 8190) + `"`), payload: "hello", forged: true, members: 1,
	}, {
		name: "one byte more", reason: "the baggage is not valid",
		message: forged(`"baggage":"a=` + strings.Repeat("x", 8191) + `"`), payload: "hello", forged: true,
	}, {
		name: "giant escaped baggage", reason: "the limit is for 6,000 bytes without escapes",
		message: forged(`"baggage":"a=` + strings.Repeat(`\u0078`, 5998) + `"`), payload: "hello", forged: true, members: 1,
	}, {
		name: "carrier of 16 KiB", reason: "the largest carrier that propagators get",
		message: forged(`"baggage":"` + strings.Repeat("x", room) + `"`), payload: "hello", forged: true,
	}, {
		name: "larger carrier", reason: "propagators get none of it",
		message: forged(`"baggage":"` + strings.Repeat("x", room+1) + `"`), payload: "hello", err: tracedpubsub.ErrCarrierTooLarge,
	}, {
		name: "carrier of 1 MiB", reason: "likewise, and the message is delivered",
		message: forged(`"baggage":"` + strings.Repeat("x", 1<<20) + `"`), payload: "hello", err: tracedpubsub.ErrCarrierTooLarge,
	}, {
		name: "carrier of 1 MiB without an envelope", reason: "likewise",
		message: `{"traceparent":"` + forgedParent + `","baggage":"` + strings.Repeat("x", 1<<20) + `"}`, err: tracedpubsub.ErrCarrierTooLarge,
	}, {
		name: "thousands of members", reason: "the propagator takes the first 64",
		message: forged(`"baggage":"` + list(1500, "%d=") + `"`), payload: "hello", forged: true, members: 64,
	}, {
		name: "thousands of broken members", reason: "the propagator skips them",
		message: forged(`"baggage":"` + strings.Repeat("=,", 4000) + `a=1"`), payload: "hello", forged: true, members: 1,
	}, {
		name: "huge tracestate", reason: "the most that W3C Trace Context allows: 32 members",
		message: forged(`"tracestate":"` + state + `"`), payload: "hello", forged: true, state: len(state),
	}, {
		name: "33 members of tracestate", reason: "none of them is valid, the producer is",
		message: forged(`"tracestate":"` + state + `,w=1"`), payload: "hello", forged: true,
	}, {
		name: "257 bytes in one", reason: "none of them is valid, the producer is",
		message: forged(`"tracestate":"v=` + strings.Repeat("x", 257) + `"`), payload: "hello", forged: true,
	}, {
		name: "tracestate twice the same", reason: "none of them is valid, the producer is",
		message: forged(`"tracestate":"v=1,v=2"`), payload: "hello", forged: true,
	}, {
		name: "no producer", reason: "a span context of zeros is not valid",
		message: envelopeWith(`"traceparent":"00-00000000000000000000000000000000-0000000000000000-01"`), payload: "hello",
	}, {
		name: "huge traceparent", reason: "it is not valid",
		message: envelopeWith(`"traceparent":"` + forgedParent + strings.Repeat("-01", 4000) + `"`), payload: "hello",
	}}
}

// jsonAttacks are about the shape of messages.
func jsonAttacks() []attack {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	producer := `"traceparent":"` + forgedParent + `"`
	return []attack{{
		name: "names that differ in case", reason: "names are case-sensitive",
		message: envelopeWith(`"Traceparent":"` + otherParent + `",` + producer + `,"TRACEPARENT":"` + otherParent + `","Baggage":"role=admin"`), payload: "hello", forged: true,
	}, {
		name: "another case only", reason: "likewise",
		message: envelopeWith(`"TraceParent":"` + otherParent + `"`), payload: "hello",
	}, {
		name: "another case without an envelope", reason: "likewise",
		message: `{"TraceParent":"` + otherParent + `"}`,
	}, {
		name: "deep payload", reason: "the depth has no limit, as nothing recurses",
		message: `{"tracedpubsub":1,` + producer + `,"payload":` + deep + `}`, payload: deep, forged: true,
	}, {
		name: "deep message", reason: "likewise",
		message: `{"data":` + deep + `,` + producer + `}`, forged: true,
	}, {
		name: "deep and cut off", reason: "it is not JSON, so nothing is read",
		message: `{` + producer + `,"data":` + strings.Repeat("[", 100_000),
	}, {
		name: "thousands of unknown members", reason: "unknown members are skipped",
		message: forged(list(20_000, `"m%d":0`)), payload: "hello", forged: true,
	}, {
		name: "thousands of fields", reason: "as many as the limit for their names and values allows",
		message: forged(list(2_000, `"f%d":"x"`)), payload: "hello", forged: true,
	}, {
		name: "tens of thousands of fields", reason: "propagators get none of them",
		message: forged(list(20_000, `"f%d":"x"`)), payload: "hello", err: tracedpubsub.ErrCarrierTooLarge,
	}, {
		name: "one field, ten thousand times", reason: "it is left out",
		message: forged(strings.Repeat(`"f":"x",`, 10_000) + `"g":"x"`), payload: "hello", forged: true,
	}, {
		name: "producer twice", reason: "a field that occurs twice is left out: two readers could disagree",
		message: envelopeWith(producer + `,"traceparent":"` + otherParent + `","baggage":"a=1"`), payload: "hello", members: 1,
	}, {
		name: "producer twice, escaped", reason: "names are compared without escapes",
		message: envelopeWith(producer + `,"\u0074raceparent":"` + otherParent + `"`), payload: "hello",
	}, {
		name: "baggage twice", reason: "it is left out, and the producer is not",
		message: forged(`"baggage":"a=1","baggage":"b=1"`), payload: "hello", forged: true,
	}, {
		name: "baggage twice without an envelope", reason: "the repeated field is left out, the others are read",
		message: `{` + producer + `,"baggage":"a=1","baggage":"b=1"}`, forged: true,
	}, {
		name: "producer twice without an envelope", reason: "likewise, and baggage without a producer is read",
		message: `{` + producer + `,` + producer + `,"baggage":"a=1"}`, members: 1,
	}, {
		name: "payload twice", reason: "two readers could disagree",
		message: `{"tracedpubsub":1,` + producer + `,"payload":"a","payload":"b"}`, err: tracedpubsub.ErrMalformedEnvelope,
	}, {
		name: "payload in two forms", reason: "likewise",
		message: `{"tracedpubsub":1,` + producer + `,"payload":"a","payload_base64":"Yg=="}`, err: tracedpubsub.ErrMalformedEnvelope,
	}, {
		name: "payload in another case", reason: "it is another member",
		message: `{"tracedpubsub":1,` + producer + `,"Payload":"a","payload":"hello"}`, payload: "hello", forged: true,
	}, {
		name: "wrong size", reason: "the payload is read as JSON instead",
		message: `{"tracedpubsub":1,` + producer + `,"size":3,"payload":{"a":1}}`, payload: `{"a":1}`, forged: true,
	}, {
		name: "huge size", reason: "nothing is allocated for it",
		message: `{"tracedpubsub":1,` + producer + `,"size":999999999999999999,"payload":{"a":1}}`, payload: `{"a":1}`, forged: true,
	}, {
		name: "later version", reason: "its payload is unknown, its producer is not",
		message: `{"tracedpubsub":2,` + producer + `,"payload":"hello"}`, err: tracedpubsub.ErrUnsupportedVersion, forged: true,
	}, {
		name: "cut off", reason: "nothing is read",
		message: `{"tracedpubsub":1,` + producer + `,"payload":"hel`, err: tracedpubsub.ErrMalformedEnvelope,
	}}
}

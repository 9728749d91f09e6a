// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"math"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// marshaler has its bytes from MarshalBinary, which is asked by value.
type marshaler string

func (m marshaler) MarshalBinary() ([]byte, error) { return []byte("marshaled " + string(m)), nil }

// pointerMarshaler is a marshaler only as a pointer, and knows what a nil one is.
type pointerMarshaler struct{ text string }

func (m *pointerMarshaler) MarshalBinary() ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	return []byte(m.text), nil
}

// latestTime has a year of its own and a zone with seconds.
var latestTime = time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.FixedZone("x", 2*3600+1800))

// payloadTypes is a payload of each type that go-redis writes, in the order of
// its cases, with what is at the edges of the type.
var payloadTypes = []struct {
	name, reason string
	payload      any
}{
	{"nil", "is written as the empty string", nil},
	{"string", "the usual payload", "hello"},
	{"empty string", "an envelope holds it as it holds others", ""},
	{"string with escapes", "JSON needs them, the consumer does not see them", "\"\\\b\f\n\r\t\x00\x1f\x7f</&>\u2028\U0001f600"},
	{"string of JSON", "travels as a document", `{"id":7,"n":[1.0,"x"]}`},
	{"string of JSON with spaces", "and keeps its bytes", " { \"id\" : 7 }\n"},
	{"string of a JSON string", "keeps its quotes", `"hello"`},
	{"string of broken JSON", "is text", `{"id":7`},
	{"string that is no UTF-8", "travels as bytes", "\xff\xfe\xfd"},
	{"long string", "larger than the buffers that are kept", strings.Repeat("long and \"quoted\" ", 20_000)},
	{"*string", "go-redis follows pointers", new("hello")},
	{"nil *string", "is the zero value", (*string)(nil)},
	{"[]byte", "is written as it is", []byte("hello\x00\xff")},
	{"empty []byte", "is the empty string", []byte{}},
	{"nil []byte", "is the empty string", []byte(nil)},
	{"int", "smallest", math.MinInt},
	{"*int", "largest", new(math.MaxInt)},
	{"nil *int", "is zero", (*int)(nil)},
	{"int8", "smallest", int8(math.MinInt8)},
	{"*int8", "largest", new(int8(math.MaxInt8))},
	{"nil *int8", "is zero", (*int8)(nil)},
	{"int16", "smallest", int16(math.MinInt16)},
	{"*int16", "largest", new(int16(math.MaxInt16))},
	{"nil *int16", "is zero", (*int16)(nil)},
	{"int32", "smallest, and rune", int32(math.MinInt32)},
	{"*int32", "largest", new(int32(math.MaxInt32))},
	{"nil *int32", "is zero", (*int32)(nil)},
	{"int64", "smallest", int64(math.MinInt64)},
	{"*int64", "largest", new(int64(math.MaxInt64))},
	{"nil *int64", "is zero", (*int64)(nil)},
	{"uint", "largest", uint(math.MaxUint)},
	{"*uint", "largest", new(uint(math.MaxUint))},
	{"nil *uint", "is zero", (*uint)(nil)},
	{"uint8", "largest, and byte", uint8(math.MaxUint8)},
	{"*uint8", "largest", new(uint8(math.MaxUint8))},
	{"nil *uint8", "is zero", (*uint8)(nil)},
	{"uint16", "largest", uint16(math.MaxUint16)},
	{"*uint16", "largest", new(uint16(math.MaxUint16))},
	{"nil *uint16", "is zero", (*uint16)(nil)},
	{"uint32", "largest", uint32(math.MaxUint32)},
	{"*uint32", "largest", new(uint32(math.MaxUint32))},
	{"nil *uint32", "is zero", (*uint32)(nil)},
	{"uint64", "largest", uint64(math.MaxUint64)},
	{"*uint64", "largest", new(uint64(math.MaxUint64))},
	{"nil *uint64", "is zero", (*uint64)(nil)},
	{"uintptr", "largest", uintptr(math.MaxUint)},
	{"*uintptr", "largest", new(uintptr(math.MaxUint))},
	{"nil *uintptr", "is zero", (*uintptr)(nil)},
	{"float32", "becomes a float64 first, with its digits", float32(0.1)},
	{"*float32", "largest, without an exponent", new(float32(math.MaxFloat32))},
	{"nil *float32", "is zero", (*float32)(nil)},
	{"float64", "the shortest digits that give it back", 0.1},
	{"small float64", "without an exponent", math.SmallestNonzeroFloat64},
	{"negative zero", "keeps its sign", math.Copysign(0, -1)},
	{"NaN", "is text like others", math.NaN()},
	{"infinity", "is text like others", math.Inf(-1)},
	{"*float64", "largest, without an exponent", new(math.MaxFloat64)},
	{"nil *float64", "is zero", (*float64)(nil)},
	{"true", "is 1", true},
	{"false", "is 0", false},
	{"*bool", "follows the pointer", new(true)},
	{"*bool of false", "follows the pointer", new(false)},
	{"nil *bool", "is 0", (*bool)(nil)},
	{"time.Time", "has its zone and nanoseconds", latestTime},
	{"zero time.Time", "is the year 1", time.Time{}},
	{"time.Time beyond year 9999", "MarshalBinary or MarshalText would refuse or differ", time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)},
	{"*time.Time", "follows the pointer", &latestTime},
	{"nil *time.Time", "is the zero value", (*time.Time)(nil)},
	{"time.Duration", "is in nanoseconds", -90 * time.Minute},
	{"*time.Duration", "follows the pointer", new(time.Nanosecond)},
	{"nil *time.Duration", "is zero", (*time.Duration)(nil)},
	{"BinaryMarshaler", "a named string counts by its method", marshaler("text")},
	{"pointer BinaryMarshaler", "a struct counts by its method", &pointerMarshaler{"text"}},
	{"nil pointer BinaryMarshaler", "its method is asked all the same, and may give nil", (*pointerMarshaler)(nil)},
	{"*url.URL", "a BinaryMarshaler of the standard library", &url.URL{Scheme: "https", Host: "example.org", Path: "/a b"}},
	{"netip.Addr", "a BinaryMarshaler that gives bytes", netip.MustParseAddr("2001:db8::ff")},
	{"net.IP", "is written as its bytes, not as text", net.IPv4(192, 0, 2, 255).To4()},
	{"net.IP of 16 bytes", "is no UTF-8", net.ParseIP("2001:db8::ff")},
	{"nil net.IP", "is the empty string", net.IP(nil)},
}

// A payload that go-redis accepts arrives with the bytes that go-redis alone
// sends, whoever publishes and whoever receives.
func TestPayloadTypes(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		var told errorLog
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), told.option())
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		for i, row := range payloadTypes {
			t.Run(row.name, func(t *testing.T) {
				assertSent(t, rdb.Publish(ctx, "reports", row.payload))
				want := nextRaw(t, raw).Payload
				if m := nextMessage(t, sub); m.Payload != want || m.Err != nil {
					t.Errorf("published by go-redis, received by this package: %.200q, %v, want %.200q: %s", m.Payload, m.Err, want, row.reason)
				}

				assertSent(t, client.Publish(ctx, "reports", row.payload))
				wire := nextRaw(t, raw).Payload
				if !strings.HasPrefix(wire, `{"tracedpubsub":1,"traceparent":"`) {
					t.Errorf("no envelope around it: %.200q", wire)
				}
				if e, err := tracedpubsub.Decode(wire); e.Payload != want || err != nil {
					t.Errorf("published by this package, received by go-redis and decoded: %.200q, %v, want %.200q: %s", e.Payload, err, want, row.reason)
				}
				if m := nextMessage(t, sub); m.Payload != want || m.Err != nil {
					t.Errorf("published and received by this package: %.200q, %v, want %.200q: %s", m.Payload, m.Err, want, row.reason)
				}
				span := rec.spans(t, i+1)[i]
				assertSucceeded(t, span)
				assertAttributes(t, span, served(rdb, "publish", "reports", heardBy(2))...)
			})
		}
		told.assertNone(t)
	})
}

// Publish always wraps: a consumer gets what the publisher passed, also if that
// is an envelope.
func TestEnvelopeIsAPayload(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		for i, row := range foreignMessages {
			t.Run(row.name, func(t *testing.T) {
				assertSent(t, client.Publish(ctx, "reports", row.message))
				for _, m := range sub.Messages(ctx) {
					if m.Payload != row.message || m.Err != nil {
						t.Errorf("got %.200q, %v, want %.200q", m.Payload, m.Err, row.message)
					}
					break
				}
				spans := rec.spans(t, 2*(i+1))
				assertParent(t, spans[2*i+1], spans[2*i])
				assertAttributes(t, spans[2*i+1], served(rdb, "process", "reports")...)
			})
		}
	})
}

// go-redis keeps the commands of a pipeline until Exec: none may change when the
// next message is written.
func TestQueuedPayloads(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := testContext(t)
		sub := readySub(t, tracedpubsub.Subscribe(ctx, rdb, "reports"))
		pipe := rdb.Pipeline()
		for _, row := range foreignMessages {
			tracedpubsub.Publish(ctx, pipe, "reports", row.message)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		for _, row := range foreignMessages {
			if m := nextMessage(t, sub); m.Payload != row.message {
				t.Errorf("got %.200q, want %.200q", m.Payload, row.message)
			}
		}
	})
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// marshaler has a MarshalBinary method with a value receiver, and other bytes than its
// text.
type marshaler string

func (m marshaler) MarshalBinary() ([]byte, error) { return []byte("marshaled " + string(m)), nil }

// PointerMarshaler has a MarshalBinary method with a pointer receiver, which accepts
// nil.
type PointerMarshaler struct{ Text string }

// MarshalBinary returns the text, or nil.
func (m *PointerMarshaler) MarshalBinary() ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	return []byte(m.Text), nil
}

// latestTime has nanoseconds and a zone that is not a whole number of hours.
var latestTime = time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.FixedZone("x", 2*3600+1800))

// PayloadCase is a payload of one of the types that go-redis writes.
type PayloadCase struct {
	Name, Reason string
	Payload      any
}

// PayloadTypes has payloads of each type that go-redis writes, in the order of its
// cases, with the edges of the type.
var PayloadTypes = []PayloadCase{
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
	{"*string", "go-redis follows pointers", Pointer("hello")},
	{"nil *string", "is the zero value", (*string)(nil)},
	{"[]byte", "is written as it is", []byte("hello\x00\xff")},
	{"empty []byte", "is the empty string", []byte{}},
	{"nil []byte", "is the empty string", []byte(nil)},
	{"int", "smallest", math.MinInt},
	{"*int", "largest", Pointer(math.MaxInt)},
	{"nil *int", "is zero", (*int)(nil)},
	{"int8", "smallest", int8(math.MinInt8)},
	{"*int8", "largest", Pointer(int8(math.MaxInt8))},
	{"nil *int8", "is zero", (*int8)(nil)},
	{"int16", "smallest", int16(math.MinInt16)},
	{"*int16", "largest", Pointer(int16(math.MaxInt16))},
	{"nil *int16", "is zero", (*int16)(nil)},
	{"int32", "smallest, and rune", int32(math.MinInt32)},
	{"*int32", "largest", Pointer(int32(math.MaxInt32))},
	{"nil *int32", "is zero", (*int32)(nil)},
	{"int64", "smallest", int64(math.MinInt64)},
	{"*int64", "largest", Pointer(int64(math.MaxInt64))},
	{"nil *int64", "is zero", (*int64)(nil)},
	{"uint", "largest", uint(math.MaxUint)},
	{"*uint", "largest", Pointer(uint(math.MaxUint))},
	{"nil *uint", "is zero", (*uint)(nil)},
	{"uint8", "largest, and byte", uint8(math.MaxUint8)},
	{"*uint8", "largest", Pointer(uint8(math.MaxUint8))},
	{"nil *uint8", "is zero", (*uint8)(nil)},
	{"uint16", "largest", uint16(math.MaxUint16)},
	{"*uint16", "largest", Pointer(uint16(math.MaxUint16))},
	{"nil *uint16", "is zero", (*uint16)(nil)},
	{"uint32", "largest", uint32(math.MaxUint32)},
	{"*uint32", "largest", Pointer(uint32(math.MaxUint32))},
	{"nil *uint32", "is zero", (*uint32)(nil)},
	{"uint64", "largest", uint64(math.MaxUint64)},
	{"*uint64", "largest", Pointer(uint64(math.MaxUint64))},
	{"nil *uint64", "is zero", (*uint64)(nil)},
	{"uintptr", "largest", uintptr(math.MaxUint)},
	{"*uintptr", "largest", Pointer(uintptr(math.MaxUint))},
	{"nil *uintptr", "is zero", (*uintptr)(nil)},
	{"float32", "becomes a float64 first, with its digits", float32(0.1)},
	{"*float32", "largest, without an exponent", Pointer(float32(math.MaxFloat32))},
	{"nil *float32", "is zero", (*float32)(nil)},
	{"float64", "the shortest digits that give it back", 0.1},
	{"small float64", "without an exponent", math.SmallestNonzeroFloat64},
	{"negative zero", "keeps its sign", math.Copysign(0, -1)},
	{"NaN", "is text like others", math.NaN()},
	{"infinity", "is text like others", math.Inf(-1)},
	{"*float64", "largest, without an exponent", Pointer(math.MaxFloat64)},
	{"nil *float64", "is zero", (*float64)(nil)},
	{"true", "is 1", true},
	{"false", "is 0", false},
	{"*bool", "follows the pointer", Pointer(true)},
	{"*bool of false", "follows the pointer", Pointer(false)},
	{"nil *bool", "is 0", (*bool)(nil)},
	{"time.Time", "has its zone and nanoseconds", latestTime},
	{"zero time.Time", "is the year 1", time.Time{}},
	{"time.Time beyond year 9999", "MarshalBinary or MarshalText would refuse or differ", time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)},
	{"*time.Time", "follows the pointer", &latestTime},
	{"nil *time.Time", "is the zero value", (*time.Time)(nil)},
	{"time.Duration", "is in nanoseconds", -90 * time.Minute},
	{"*time.Duration", "follows the pointer", Pointer(time.Nanosecond)},
	{"nil *time.Duration", "is zero", (*time.Duration)(nil)},
	{"BinaryMarshaler", "a named string counts by its method", marshaler("text")},
	{"pointer BinaryMarshaler", "a struct counts by its method", &PointerMarshaler{"text"}},
	{"nil pointer BinaryMarshaler", "its method is asked all the same, and may give nil", (*PointerMarshaler)(nil)},
	{"*url.URL", "a BinaryMarshaler of the standard library", &url.URL{Scheme: "https", Host: "example.org", Path: "/a b"}},
	{"netip.Addr", "a BinaryMarshaler that gives bytes", netip.MustParseAddr("2001:db8::ff")},
	{"net.IP", "is written as its bytes, not as text", net.IPv4(192, 0, 2, 255).To4()},
	{"net.IP of 16 bytes", "is no UTF-8", net.ParseIP("2001:db8::ff")},
	{"nil net.IP", "is the empty string", net.IP(nil)},
}

func init() {
	if redis.Version() < "9.23" { // it writes no uintptr
		PayloadTypes = slices.DeleteFunc(PayloadTypes, func(c PayloadCase) bool {
			return strings.HasSuffix(c.Name, "uintptr")
		})
	}
}

// Pointer returns a pointer to a copy of v. From Go 1.26 on, new does the same.
func Pointer[T any](v T) *T { return &v }

// Unsupported is a payload that go-redis refuses: a struct without MarshalBinary.
type Unsupported struct{ ID int }

// FailingPayload is a payload whose MarshalBinary fails on the first call, and only
// then.
type FailingPayload struct {
	Err   error // what the first call returns
	Panic any   // what it panics with; nil: it does not
	Calls int
}

// MarshalBinary counts the call, and fails if it is the first one.
func (f *FailingPayload) MarshalBinary() ([]byte, error) {
	f.Calls++
	if f.Calls > 1 {
		return []byte("it works now"), nil
	}
	if f.Panic != nil {
		panic(f.Panic)
	}
	return nil, f.Err
}

// Marshaled is a payload whose MarshalBinary returns its text.
type Marshaled string

// MarshalBinary returns the text.
func (m Marshaled) MarshalBinary() ([]byte, error) { return []byte(m), nil }

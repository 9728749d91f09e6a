// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"encoding"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
	"unsafe"
)

// errUnsupportedPayload says that go-redis would refuse the payload too.
var errUnsupportedPayload = errors.New("unsupported payload type")

// payloadBytes returns the bytes that go-redis would send for payload: its
// writer's cases, in its order, nil pointers included. They are not to be
// changed, for they may be the payload's own; what has to be formatted is
// appended to scratch, which should be empty.
//
// The error is errUnsupportedPayload, or wraps directly what MarshalBinary
// returned.
func payloadBytes(scratch []byte, payload any) ([]byte, error) {
	switch v := payload.(type) {
	case nil:
		return scratch, nil
	case string:
		return viewBytes(v), nil
	case *string:
		return viewBytes(valueOf(v)), nil
	case []byte:
		return v, nil
	}
	if number, ok := appendNumber(scratch, payload); ok {
		return number, nil
	}
	switch v := payload.(type) {
	case time.Time:
		return v.AppendFormat(scratch, time.RFC3339Nano), nil
	case *time.Time:
		return valueOf(v).AppendFormat(scratch, time.RFC3339Nano), nil
	case encoding.BinaryMarshaler:
		b, err := v.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("tracedpubsub: cannot marshal payload of type %T: %w", payload, err)
		}
		return b, nil
	case net.IP:
		return v, nil
	}
	return nil, fmt.Errorf("tracedpubsub: %w: %T", errUnsupportedPayload, payload)
}

// appendNumber appends what go-redis sends for the types that it writes as
// numbers.
func appendNumber(b []byte, payload any) ([]byte, bool) {
	switch v := payload.(type) {
	case int, *int, int8, *int8, int16, *int16, int32, *int32, int64, *int64:
		return strconv.AppendInt(b, signed(v), 10), true
	case uint, *uint, uint8, *uint8, uint16, *uint16, uint32, *uint32, uint64, *uint64, uintptr, *uintptr:
		return strconv.AppendUint(b, unsigned(v), 10), true
	case float32:
		return appendFloat(b, float64(v)), true
	case *float32:
		return appendFloat(b, float64(valueOf(v))), true
	case float64:
		return appendFloat(b, v), true
	case *float64:
		return appendFloat(b, valueOf(v)), true
	case bool:
		return appendBool(b, v), true
	case *bool:
		return appendBool(b, valueOf(v)), true
	case time.Duration:
		return strconv.AppendInt(b, v.Nanoseconds(), 10), true
	case *time.Duration:
		return strconv.AppendInt(b, valueOf(v).Nanoseconds(), 10), true
	}
	return b, false
}

func signed(payload any) int64 {
	switch v := payload.(type) {
	case int:
		return int64(v)
	case *int:
		return int64(valueOf(v))
	case int8:
		return int64(v)
	case *int8:
		return int64(valueOf(v))
	case int16:
		return int64(v)
	case *int16:
		return int64(valueOf(v))
	case int32:
		return int64(v)
	case *int32:
		return int64(valueOf(v))
	case int64:
		return v
	default:
		return valueOf(payload.(*int64))
	}
}

func unsigned(payload any) uint64 {
	switch v := payload.(type) {
	case uint:
		return uint64(v)
	case *uint:
		return uint64(valueOf(v))
	case uint8:
		return uint64(v)
	case *uint8:
		return uint64(valueOf(v))
	case uint16:
		return uint64(v)
	case *uint16:
		return uint64(valueOf(v))
	case uint32:
		return uint64(v)
	case *uint32:
		return uint64(valueOf(v))
	case uint64:
		return v
	case *uint64:
		return valueOf(v)
	case uintptr:
		return uint64(v)
	default:
		return uint64(valueOf(payload.(*uintptr)))
	}
}

func appendFloat(b []byte, f float64) []byte {
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, '1')
	}
	return append(b, '0')
}

// valueOf is what p points at; go-redis takes a nil pointer for the zero value.
func valueOf[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// viewBytes returns the bytes of s without copying them. They must not be
// changed.
func viewBytes(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// ownedString returns b as a string without copying it. Nobody else may hold b.
func ownedString(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}

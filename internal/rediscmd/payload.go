// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd

import (
	"encoding"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
	"unsafe"
)

// errUnsupportedPayload means that go-redis does not accept the type of the payload.
var errUnsupportedPayload = errors.New("unsupported payload type")

// PayloadBytes returns the bytes that go-redis would send for payload, which may also be a
// nil pointer. The caller must not change them, since they may be those of payload. A
// payload that has to be formatted, such as a number, is appended to scratch, which should
// be empty.
//
// It returns an error if go-redis does not accept the type of payload, or if its
// MarshalBinary method fails; see [Refused].
func PayloadBytes(scratch []byte, payload any) ([]byte, error) {
	// The order of the types is that of go-redis: time.Time, for one, is a
	// BinaryMarshaler, too.
	if b, ok := TextBytes(payload); ok {
		return b, nil
	}
	if number, ok := appendNumber(scratch, payload); ok {
		return number, nil
	}
	switch v := payload.(type) {
	case nil:
		return scratch, nil
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

// TextBytes returns the bytes of a payload that is a string or bytes. The caller must
// not change them.
func TextBytes(payload any) (b []byte, ok bool) {
	switch v := payload.(type) {
	case string:
		return viewBytes(v), true
	case *string:
		return viewBytes(valueOf(v)), true
	case []byte:
		return v, true
	}
	return nil, false
}

// Refused returns the payload to pass to go-redis when [PayloadBytes] has returned err, so
// that go-redis fails with the same error. A payload whose MarshalBinary method failed is
// not marshaled again, because it might succeed, and be sent without an envelope.
func Refused(payload any, err error) any {
	// No method of the cause is called. It may be a nil pointer, and its methods may panic.
	cause := errors.Unwrap(err)
	if cause == errUnsupportedPayload { //nolint:errorlint // see above
		return payload
	}
	return failedMarshal{cause}
}

type failedMarshal struct{ err error }

func (f failedMarshal) MarshalBinary() ([]byte, error) { return nil, f.err }

// appendNumber appends payload as go-redis formats it, if its type is one that go-redis
// formats as a number. Otherwise ok is false.
func appendNumber(b []byte, payload any) (number []byte, ok bool) {
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

// valueOf returns *p, or the zero value if p is nil, as in go-redis.
func valueOf[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// viewBytes returns the bytes of s without copying them. They must not be changed.
func viewBytes(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"unsafe"
)

// enveloped is an envelope as it is among the arguments of a command: go-redis sends
// what MarshalBinary returns, and prints what String does.
//
// A string that becomes an argument costs two allocations, one for its bytes and one
// for where they are and how many. This is one: the length stands in front of the
// bytes, and the pointer to it is the argument.
type enveloped [enveloping]byte

// enveloping is how many bytes the length takes.
const enveloping = 8

var (
	_ encoding.BinaryMarshaler = (*enveloped)(nil)
	_ fmt.Stringer             = (*enveloped)(nil)
)

// newEnveloped copies message.
func newEnveloped(message []byte) *enveloped {
	b := make([]byte, enveloping+len(message))
	binary.NativeEndian.PutUint64(b, uint64(len(message)))
	copy(b[enveloping:], message)
	return (*enveloped)(b)
}

// MarshalBinary returns the envelope. It is not to be changed.
func (e *enveloped) MarshalBinary() ([]byte, error) { return e.bytes(), nil }

// String returns the envelope.
func (e *enveloped) String() string { return ownedString(e.bytes()) }

func (e *enveloped) bytes() []byte {
	end := enveloping + binary.NativeEndian.Uint64(e[:])
	return unsafe.Slice(&e[0], end)[enveloping:end:end]
}

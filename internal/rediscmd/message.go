// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd

import (
	"encoding"
	"fmt"
)

// WireMessage is an envelope as the argument of a command. go-redis sends the bytes of
// MarshalBinary, and prints the text of String. In JSON it is a string.
//
// It is a type of its own so that hooks recognize the envelopes of this module. It is used
// by its pointer so that the copies that hooks make of a command have the same identity; see
// [IdentityOf].
type WireMessage struct{ text string }

var (
	_ encoding.BinaryMarshaler = (*WireMessage)(nil)
	_ encoding.TextMarshaler   = (*WireMessage)(nil)
	_ fmt.Stringer             = (*WireMessage)(nil)
)

// NewWireMessage returns envelope as an argument.
func NewWireMessage(envelope string) *WireMessage { return &WireMessage{envelope} }

// String returns the envelope.
func (m *WireMessage) String() string { return m.text }

// MarshalBinary returns the envelope. The caller must not change it.
func (m *WireMessage) MarshalBinary() ([]byte, error) { return viewBytes(m.text), nil }

// MarshalText returns a copy of the envelope.
func (m *WireMessage) MarshalText() ([]byte, error) { return []byte(m.text), nil }

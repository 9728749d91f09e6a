// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"encoding"
	"fmt"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// enveloped is an envelope as it is among the arguments of a command: go-redis sends
// what MarshalBinary returns, and prints what String does. In JSON it is a string.
//
// A string that becomes an argument costs two allocations, one for its bytes and one
// for where they are and how many. A pointer to an enveloped is an argument as it is,
// and newEnveloped makes both in one piece.
type enveloped struct{ text string }

var (
	_ encoding.BinaryMarshaler = (*enveloped)(nil)
	_ encoding.TextMarshaler   = (*enveloped)(nil)
	_ fmt.Stringer             = (*enveloped)(nil)
)

// String returns the envelope.
func (e *enveloped) String() string { return e.text }

// MarshalBinary returns the envelope. It is not to be changed.
func (e *enveloped) MarshalBinary() ([]byte, error) { return viewBytes(e.text), nil }

// MarshalText returns a copy of the envelope.
func (e *enveloped) MarshalText() ([]byte, error) { return []byte(e.text), nil }

// newEnveloped puts message together. Memory of one type is of one size, so that there is one
// for each; from two KiB on, another few bytes do not count.
func newEnveloped(message *wire.Writer) *enveloped {
	switch n := message.Len(); {
	case n <= 192-ahead:
		p := new(piece[[192 - ahead]byte])
		return p.hold(message.AppendTo(p.room[:0]))
	case n <= 256-ahead:
		p := new(piece[[256 - ahead]byte])
		return p.hold(message.AppendTo(p.room[:0]))
	case n <= 384-ahead:
		p := new(piece[[384 - ahead]byte])
		return p.hold(message.AppendTo(p.room[:0]))
	case n <= 512-ahead:
		p := new(piece[[512 - ahead]byte])
		return p.hold(message.AppendTo(p.room[:0]))
	case n <= 1024-ahead:
		p := new(piece[[1024 - ahead]byte])
		return p.hold(message.AppendTo(p.room[:0]))
	case n <= 1536-ahead:
		p := new(piece[[1536 - ahead]byte])
		return p.hold(message.AppendTo(p.room[:0]))
	case n <= 2048-ahead:
		p := new(piece[[2048 - ahead]byte])
		return p.hold(message.AppendTo(p.room[:0]))
	}
	return &enveloped{message.Text()}
}

// piece is an enveloped with room for its bytes, which is an array.
type piece[room any] struct {
	enveloped
	room room
}

// ahead is what is in front of the bytes: a string, and what the Go runtime keeps
// there about larger pieces.
const ahead = 16 + 8

// hold makes e the text that lies beside it, and that nobody changes any more.
func (e *enveloped) hold(text []byte) *enveloped {
	e.text = ownedString(text)
	return e
}

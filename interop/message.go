// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"encoding"
	"fmt"

	"github.com/tracedpubsub/tracedpubsub"
)

// newMessage decodes what another client than go-redis has received.
func newMessage(channel, pattern, payload string) *tracedpubsub.Message {
	return tracedpubsub.NewMessage(channel, pattern, payload)
}

// wireText returns what is to be sent. The message is the envelope that tracedpubsub.Publish
// has made, or the payload itself on a channel without envelopes.
func wireText(message any) (string, error) {
	switch m := message.(type) {
	case string:
		return m, nil
	case []byte:
		return string(m), nil
	case encoding.BinaryMarshaler:
		b, err := m.MarshalBinary()
		return string(b), err
	}
	return "", fmt.Errorf("cannot publish a %T", message)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"encoding"
	"encoding/json"
	"fmt"
)

// JSON returns a payload with the JSON text of v, for [Publish] and for go-redis itself:
//
//	tracedpubsub.Publish(ctx, rdb, "orders", tracedpubsub.JSON(order))
//
// The text is that of json.Marshal, with its HTML escapes and struct tags. It is JSON for
// every v: the payload of JSON("hello") has quotes. To write it in another way, pass the
// bytes as the payload. [Message.JSON] reads it.
//
// v is marshaled when it is published. If that fails, nothing is published, and the command
// has the error of json.Marshal, as it has that of any payload that cannot be marshaled.
func JSON(v any) encoding.BinaryMarshaler { return jsonPayload{v} }

type jsonPayload struct{ v any }

func (p jsonPayload) MarshalBinary() ([]byte, error) { return json.Marshal(p.v) }

// JSON stores the payload in the value that v points to, like json.Unmarshal.
//
// If Err is [ErrMalformedEnvelope] or [ErrUnsupportedVersion], JSON returns Err: Payload is
// then not what the publisher passed, and might fit v by chance. Other errors wrap that of
// json.Unmarshal.
func (m *Message) JSON(v any) error {
	// No method of Err is called, since an application may have set it.
	switch m.Err {
	case ErrMalformedEnvelope, ErrUnsupportedVersion: //nolint:errorlint // Decode does not wrap them
		return m.Err
	}
	if err := json.Unmarshal([]byte(m.Payload), v); err != nil {
		return fmt.Errorf("tracedpubsub: cannot decode the payload as JSON: %w", err)
	}
	return nil
}

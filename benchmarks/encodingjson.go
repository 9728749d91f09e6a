// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"encoding/json"

	"go.opentelemetry.io/otel/propagation"
)

// EncodingJSON is the standard library with a struct that has the context in a map and the
// payload in a string, so that a payload that is not UTF-8 gets lost. EncodingBase64 has the
// payload in a slice of bytes, which encoding/json writes as base64.
const (
	EncodingJSON   = "encoding/json"
	EncodingBase64 = "encoding/json with base64"
)

type textEnvelope struct {
	Headers map[string]string
	Payload string
}

type bytesEnvelope struct {
	Headers map[string]string
	Payload []byte
}

func textEncode(ctx context.Context, _ Kind, payload any) ([]byte, error) {
	carrier := propagation.MapCarrier{}
	w3c.Inject(ctx, carrier)
	return json.Marshal(textEnvelope{carrier, payload.(string)})
}

func textDecode(_ Kind, message string) (decoded, error) {
	var e textEnvelope
	err := json.Unmarshal([]byte(message), &e)
	return decoded{text: e.Payload, carrier: propagation.MapCarrier(e.Headers)}, err
}

func bytesEncode(ctx context.Context, _ Kind, payload any) ([]byte, error) {
	carrier := propagation.MapCarrier{}
	w3c.Inject(ctx, carrier)
	return json.Marshal(bytesEnvelope{carrier, []byte(payload.(string))})
}

func bytesDecode(_ Kind, message string) (decoded, error) {
	var e bytesEnvelope
	err := json.Unmarshal([]byte(message), &e)
	return decoded{bytes: e.Payload, carrier: propagation.MapCarrier(e.Headers)}, err
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// What a codec writes, it reads: the payload and the context.
func TestCodecsDoWhatTheySay(t *testing.T) {
	e := NewEnv("127.0.0.1:0", nil) // it has to do with no server
	t.Cleanup(func() { _ = e.Close() })
	for _, c := range codecs {
		for _, kind := range Kinds {
			if c.name == EncodingJSON && kind == Binary {
				continue // of which it is said that it cannot
			}
			for _, size := range Sizes {
				s := Setting{Kind: kind, Size: size, Sampling: Sampled, Channels: 1}
				t.Run(c.name+"/"+s.String(), func(t *testing.T) {
					message, err := c.encode(e.context(s), kind, s.Payload())
					if err != nil {
						t.Fatal(err)
					}
					got := assertPayload(t, c.decode, s, string(message))
					if want := trace.SpanContextFromContext(e.context(s)); got.SpanID() != want.SpanID() || got.TraceID() != want.TraceID() {
						t.Errorf("context is %v, want %v", got, want)
					}
				})
			}
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"encoding/json"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// nestJS reads the events of NestJS, a framework for Node.js. The data is the payload. NestJS
// sends no trace context by itself: here its serializer puts that beside the data.
func nestJS(message string) (e tracedpubsub.Envelope, ok bool) {
	var m struct {
		Pattern     json.RawMessage `json:"pattern"`
		Data        json.RawMessage `json:"data"`
		Traceparent string          `json:"traceparent"`
	}
	if json.Unmarshal([]byte(message), &m) != nil || m.Pattern == nil || m.Data == nil {
		return e, false
	}
	e.Payload = string(m.Data)
	e.Carrier.Set("traceparent", m.Traceparent)
	return e, true
}

// Events of NestJS, for example after
//
//	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithForeignEnvelope(nestJS))
func ExampleWithForeignEnvelope_nestJS() {
	const message = `{"pattern":"orders","data":{"id":7},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`

	msg := tracedpubsub.NewMessage("orders", "", message, tracedpubsub.WithForeignEnvelope(nestJS))
	ctx := msg.Extract(context.Background())
	fmt.Println(msg.Payload, trace.SpanContextFromContext(ctx).TraceID())

	// Output:
	// {"id":7} 0af7651916cd43dd8448eb211c80319c
}

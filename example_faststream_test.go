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

// fastStream reads the JSON messages of FastStream, a Python framework. The headers have the
// trace context, and the data is the payload, as a string.
func fastStream(message string) (e tracedpubsub.Envelope, ok bool) {
	var m struct {
		Data    *string        `json:"data"`
		Headers map[string]any `json:"headers"`
	}
	if json.Unmarshal([]byte(message), &m) != nil || m.Data == nil || m.Headers == nil {
		return e, false
	}
	e.Payload = *m.Data
	for _, key := range []string{"traceparent", "tracestate", "baggage"} {
		if value, ok := m.Headers[key].(string); ok {
			e.Carrier.Set(key, value)
		}
	}
	return e, true
}

// Messages of FastStream, for example after
//
//	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithForeignEnvelope(fastStream))
func ExampleWithForeignEnvelope_fastStream() {
	const message = `{"data":"{\"id\":7}","headers":{"correlation_id":"b2f1","content-type":"application/json",` +
		`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}`

	msg := tracedpubsub.NewMessage("orders", "", message, tracedpubsub.WithForeignEnvelope(fastStream))
	ctx := msg.Extract(context.Background())
	fmt.Println(msg.Payload, trace.SpanContextFromContext(ctx).TraceID())

	// Output:
	// {"id":7} 0af7651916cd43dd8448eb211c80319c
}

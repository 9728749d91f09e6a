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

// handMade reads messages that have the trace context in a member of their own name. They stay
// as they are, since their consumers expect the member.
func handMade(message string) (e tracedpubsub.Envelope, ok bool) {
	var m struct {
		Traceparent string `json:"_traceparent"`
	}
	if json.Unmarshal([]byte(message), &m) != nil || m.Traceparent == "" {
		return e, false
	}
	e.Payload = message
	e.Carrier.Set("traceparent", m.Traceparent)
	return e, true
}

// Messages of an application that carries trace context on its own, for example after
//
//	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithForeignEnvelope(handMade))
func ExampleWithForeignEnvelope() {
	const message = `{"id":7,"_traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`

	msg := tracedpubsub.NewMessage("orders", "", message, tracedpubsub.WithForeignEnvelope(handMade))
	ctx := msg.Extract(context.Background())
	fmt.Println(len(msg.Payload) == len(message), trace.SpanContextFromContext(ctx).TraceID())

	// Output:
	// true 0af7651916cd43dd8448eb211c80319c
}

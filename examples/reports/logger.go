// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/trace"
)

// logger prints every message of best-channel-ever.
type logger struct {
	redis *bus
	print func(line string)
}

// run prints until ctx is canceled. It calls ready once it is subscribed.
func (l *logger) run(ctx context.Context, ready func()) error {
	sub, err := l.redis.Subscribe(ctx, pubChannel)
	if err != nil {
		return err
	}
	defer sub.Close()
	ready()
	return consume(ctx, sub, func(ctx context.Context) error {
		for ctx, msg := range sub.Messages(ctx) {
			// The context carries the consumer span, so a log line can have the trace ID.
			id := trace.SpanContextFromContext(ctx).TraceID()
			l.print(fmt.Sprintf("logger: trace=%s %s: %s", id, msg.Channel, msg.Payload))
		}
		return nil
	})
}

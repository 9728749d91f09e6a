// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

// worker makes one part of every report. It has a subscription of its own: each
// subscriber of a channel gets every message.
type worker struct {
	part   string
	redis  *bus
	tracer trace.Tracer
}

// run makes parts until ctx is canceled, and then the parts of what the server has sent by
// then. It calls ready once it is subscribed.
func (w *worker) run(ctx context.Context, ready func()) error {
	sub, err := w.redis.Subscribe(ctx, reportsChannel)
	if err != nil {
		return err
	}
	defer sub.Close()
	ready()
	return consume(ctx, sub, func(ctx context.Context) error {
		return sub.Process(ctx, w.handle)
	})
}

// handle makes the part of the order in a message. ctx carries the consumer span, on which
// an error is recorded.
func (w *worker) handle(ctx context.Context, msg *tracedpubsub.Message) error {
	o, err := parseOrder([]byte(msg.Payload))
	if err != nil {
		return fmt.Errorf("message on %s: %w", msg.Channel, err)
	}
	return w.store(ctx, o.ID, w.make(ctx, o))
}

func (w *worker) make(ctx context.Context, o *order) string {
	_, span := w.tracer.Start(ctx, "make "+w.part)
	defer span.End()
	return makers[w.part](o)
}

func (w *worker) store(ctx context.Context, id, text string) error {
	ctx, span := w.tracer.Start(ctx, "store "+w.part)
	defer span.End()
	err := store(ctx, w.redis.Unwrap(), id, w.part, text)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

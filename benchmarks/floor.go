// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"bytes"
	"context"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Floor is go-redis, a span of the SDK with everything prepared, and one copy of a finished
// envelope. No library that makes spans can cost less. It is of no use, because the context
// in the envelope is always the same.
const Floor = "floor: span and memcpy"

type floor struct {
	tracer   trace.Tracer
	options  []trace.SpanStartOption
	envelope []byte
	payload  string
	producer context.Context
}

func newFloor(e *Env, s Setting, kind trace.SpanKind) (*floor, error) {
	envelope, err := tracedpubsub.Encode(e.context(s), s.Payload())
	if err != nil {
		return nil, err
	}
	host, port := e.server()
	return &floor{
		tracer: e.tracerProvider(s).Tracer("floor"),
		options: []trace.SpanStartOption{
			trace.WithSpanKind(kind),
			trace.WithAttributes(
				attribute.String("messaging.system", "redis"),
				semconv.MessagingOperationName("publish"),
				semconv.MessagingOperationTypeSend,
				semconv.MessagingDestinationName("publish:0"),
				semconv.ServerAddress(host),
				semconv.ServerPort(port),
			),
		},
		envelope: envelope,
		payload:  s.Payload(),
		producer: e.context(s),
	}, nil
}

func connectFloor(e *Env, s Setting) (*publishing, error) {
	f, err := newFloor(e, s, trace.SpanKindProducer)
	if err != nil {
		return nil, err
	}
	rdb := e.client()
	return &publishing{
		publish: func(ctx context.Context, channel string, _ any) error {
			ctx, span := f.tracer.Start(ctx, "publish publish:0", f.options...)
			defer span.End()
			return rdb.Publish(ctx, channel, bytes.Clone(f.envelope)).Err()
		},
		batch: func(ctx context.Context, channels []string, _ any) error {
			pipe := rdb.Pipeline()
			for _, channel := range channels {
				f.queue(ctx, pipe, channel)
			}
			_, err := pipe.Exec(ctx)
			return err
		},
		close: rdb.Close,
	}, nil
}

func (f *floor) queue(ctx context.Context, pipe redis.Pipeliner, channel string) {
	ctx, span := f.tracer.Start(ctx, "create publish:0", f.options...)
	defer span.End()
	pipe.Publish(ctx, channel, bytes.Clone(f.envelope))
}

// receiveFloor makes the span of each message, and does not read the messages, since it knows
// their content.
func receiveFloor(e *Env, s Setting, name string) (*subscription, error) {
	f, err := newFloor(e, s, trace.SpanKindConsumer)
	if err != nil {
		return nil, err
	}
	rdb := e.client()
	sub := subscribeRaw(rdb, s, name)
	return &subscription{
		drain: func(n int, handle func(string)) {
			channel := sub.Channel()
			for range n {
				if _, ok := <-channel; !ok {
					return
				}
				_, span := f.tracer.Start(f.producer, "process publish:0", f.options...)
				handle(f.payload)
				span.End()
			}
		},
		close: closing(sub, rdb),
	}, nil
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Tutorial is hand-written code like that of tutorials: a span whose attributes are built
// for each message, the context in a map, and encoding/json. It needs base64 for payloads
// that are not UTF-8.
const Tutorial = "tutorial"

type tutorial struct {
	tracer trace.Tracer
	kind   Kind
	host   string
}

func newTutorial(e *Env, s Setting) *tutorial {
	host, _ := e.server()
	return &tutorial{e.tracerProvider(s).Tracer("tutorial"), s.Kind, host}
}

func (t *tutorial) start(ctx context.Context, kind trace.SpanKind, operation, channel string, operationType attribute.KeyValue) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, operation+" "+channel, trace.WithSpanKind(kind), trace.WithAttributes(
		attribute.String("messaging.system", "redis"),
		semconv.MessagingOperationName(operation),
		operationType,
		semconv.MessagingDestinationName(channel),
		semconv.ServerAddress(t.host),
	))
}

// tutorialEncode is the tutorial's encode, and tutorialDecode its decode.
func tutorialEncode(ctx context.Context, kind Kind, payload any) ([]byte, error) {
	if kind == Binary {
		return bytesEncode(ctx, kind, payload)
	}
	return textEncode(ctx, kind, payload)
}

func tutorialDecode(kind Kind, message string) (decoded, error) {
	if kind == Binary {
		return bytesDecode(kind, message)
	}
	return textDecode(kind, message)
}

func (t *tutorial) publish(ctx context.Context, rdb *redis.Client, channel string, payload any) error {
	ctx, span := t.start(ctx, trace.SpanKindProducer, "publish", channel, semconv.MessagingOperationTypeSend)
	defer span.End()
	message, err := tutorialEncode(ctx, t.kind, payload)
	if err == nil {
		err = rdb.Publish(ctx, channel, message).Err()
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

func (t *tutorial) queue(ctx context.Context, pipe redis.Pipeliner, channel string, payload any) error {
	ctx, span := t.start(ctx, trace.SpanKindProducer, "create", channel, semconv.MessagingOperationTypeCreate)
	defer span.End()
	message, err := tutorialEncode(ctx, t.kind, payload)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	pipe.Publish(ctx, channel, message)
	return nil
}

func connectTutorial(e *Env, s Setting) (*publishing, error) {
	rdb, t := e.client(), newTutorial(e, s)
	return &publishing{
		publish: func(ctx context.Context, channel string, payload any) error {
			return t.publish(ctx, rdb, channel, payload)
		},
		batch: func(ctx context.Context, channels []string, payload any) error {
			pipe := rdb.Pipeline()
			for _, channel := range channels {
				if err := t.queue(ctx, pipe, channel, payload); err != nil {
					return err
				}
			}
			_, err := pipe.Exec(ctx)
			return err
		},
		close: rdb.Close,
	}, nil
}

func tutorialMessage(e *Env, s Setting) (string, error) {
	b, err := tutorialEncode(e.context(s), s.Kind, s.Payload())
	return string(b), err
}

// process is the counterpart of publish.
func (t *tutorial) process(m *redis.Message, handle func(string)) {
	d, err := tutorialDecode(t.kind, m.Payload)
	ctx := context.Background()
	if err == nil {
		ctx = w3c.Extract(ctx, d.carrier)
	}
	_, span := t.start(ctx, trace.SpanKindConsumer, "process", m.Channel, semconv.MessagingOperationTypeProcess)
	defer span.End()
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return
	}
	handle(d.payload())
}

func receiveTutorial(e *Env, s Setting, name string) (*subscription, error) {
	rdb, t := e.client(), newTutorial(e, s)
	sub := subscribeRaw(rdb, s, name)
	return &subscription{
		drain: func(n int, handle func(string)) {
			channel := sub.Channel()
			for range n {
				m, ok := <-channel
				if !ok {
					return
				}
				t.process(m, handle)
			}
		},
		close: closing(sub, rdb),
	}, nil
}

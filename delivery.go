// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// Messages returns a loop over the messages. Each is processed in a consumer
// span, which is in the context that comes with it and ends with the loop body,
// also if that breaks, returns or panics. See [Message.Start] for the span. The
// time that the body takes is recorded as messaging.process.duration.
//
// The loop ends when ctx does, or the subscription is closed; messages that were
// read and not handed over stay for the next consumer.
func (p *PubSub) Messages(ctx context.Context) iter.Seq2[context.Context, *Message] {
	return func(yield func(context.Context, *Message) bool) {
		for {
			m, err := p.ReceiveMessage(ctx)
			if err != nil || !m.within(ctx, yield) {
				return
			}
		}
	}
}

// within calls body in the consumer span of m.
func (m *Message) within(ctx context.Context, body func(context.Context, *Message) bool) bool {
	ctx, span := m.Start(ctx)
	work, failure := m.measurement(), panicked
	work.begin(ctx)
	returned := false
	defer func() {
		if !returned {
			failPanic(span, "panic in the loop body")
		}
		work.end(ctx, failure)
		span.End()
	}()
	more := body(ctx, m)
	failure = attribute.KeyValue{}
	returned = true
	return more
}

// Process calls handle for each message, as the body of a loop over
// [PubSub.Messages] would be. An error that handle returns is recorded on the
// consumer span, and the loop goes on. A panic is recorded on the span and
// raised again. The time that handle takes is recorded as that of a loop body
// is. Process returns ctx.Err() when ctx ends, or nil when the subscription is
// closed.
func (p *PubSub) Process(ctx context.Context, handle func(context.Context, *Message) error) error {
	for {
		m, err := p.ReceiveMessage(ctx)
		switch {
		case errors.Is(err, subscription.ErrClosed):
			return nil
		case err != nil:
			return err
		}
		m.process(ctx, handle)
	}
}

func (m *Message) process(ctx context.Context, handle func(context.Context, *Message) error) {
	ctx, span := m.Start(ctx)
	work, failure := m.measurement(), panicked
	work.begin(ctx)
	returned := false
	defer func() {
		work.end(ctx, failure)
		if !returned {
			v := recover()
			failPanic(span, panicText(v))
			if v != nil {
				defer panic(v)
			}
		}
		span.End()
	}()
	err := handle(ctx, m)
	failure = attribute.KeyValue{}
	if err != nil {
		failure = semconv.ErrorType(err)
		fail(span, failure, err.Error())
	}
	returned = true
}

// panicText describes what recover has returned for a handler that did not
// return: nil if it ended its goroutine, as t.FailNow does.
func panicText(v any) string {
	if v == nil {
		return "the handler ended its goroutine"
	}
	return fmt.Sprint(v)
}

// Channel returns the channel on which the messages come, for select loops.
// Start the consumer span with [Message.Start]. It is always the same channel,
// and is closed with the subscription: a nil message with ok false. A message
// that nobody takes is not dropped: the subscription stops reading.
func (p *PubSub) Channel() <-chan *Message {
	p.sub.Start()
	return p.messages
}

// ReceiveMessage waits for one message. Start the consumer span with
// [Message.Start]. A ctx that ends while it waits loses no message: the next
// consumer gets it. On a closed subscription it returns an error that is
// redis.ErrClosed.
func (p *PubSub) ReceiveMessage(ctx context.Context) (*Message, error) {
	p.sub.Start()
	select {
	case <-p.done:
		return nil, subscription.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case m, ok := <-p.messages:
		if !ok {
			return nil, subscription.ErrClosed
		}
		return m, nil
	default:
	}
	select {
	case m, ok := <-p.messages:
		if !ok {
			return nil, subscription.ErrClosed
		}
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// deliver hands m over, and waits for as long as no consumer takes it. When the
// subscription is closed it is dropped.
func (p *PubSub) deliver(m *redis.Message) {
	msg := p.cfg.open(m, p.server)
	p.sending.Lock()
	defer p.sending.Unlock()
	select {
	case <-p.done: // the channel may be closed
		return
	default:
	}
	select {
	case p.messages <- msg:
	case <-p.done:
	}
}

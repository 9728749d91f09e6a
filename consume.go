// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// Messages returns an iterator over the messages of the subscription. For each
// message it starts a consumer span, passes it to the loop body in the context, and
// ends it when the body ends: by its last statement, break, return or panic. See
// [Message.Start] for how the span is related to the producer's. The duration of the
// body is recorded as messaging.process.duration.
//
// The loop ends when ctx is canceled or the subscription is closed. Messages that
// have been read but not handled stay for the next consumer, unless the subscription
// is closed.
func (p *PubSub) Messages(ctx context.Context) iter.Seq2[context.Context, *Message] {
	return func(yield func(context.Context, *Message) bool) {
		for {
			m, err := p.ReceiveMessage(ctx)
			if err != nil {
				return
			}
			more := false
			m.process(ctx, func(ctx context.Context, m *Message) error {
				more = yield(ctx, m)
				return nil
			})
			if !more {
				return
			}
		}
	}
}

// Process calls handle for each message, in a consumer span like the body of a loop
// over [PubSub.Messages]. An error that handle returns is set on the span as its
// status and error.type, and the loop goes on. A panic is set on the span too, and
// continues.
//
// Process returns ctx.Err() when ctx is canceled, and nil when the subscription is
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

// process calls handle in the consumer span of m. A panic is raised again when the span
// has ended.
func (m *Message) process(ctx context.Context, handle func(context.Context, *Message) error) {
	ctx, span := m.start(ctx)
	returned := false
	defer func() {
		if !returned {
			v := recover()
			if v != nil {
				defer panic(v)
				span.Panicked(fmt.Sprint(v))
			} else { // t.FailNow does that
				span.Panicked("the handler ended its goroutine")
			}
		}
		span.End()
	}()
	span.Returned(handle(ctx, m))
	returned = true
}

// Channel returns the Go channel on which the messages arrive, for select loops. It
// returns the same channel each time. The receiver starts the consumer span with
// [Message.Start]. The channel is closed when the subscription is closed.
//
// A message that is not received is not dropped: the subscription stops reading.
func (p *PubSub) Channel() <-chan *Message {
	p.sub.Start()
	return p.messages
}

// ReceiveMessage waits for one message and returns it. The caller starts the
// consumer span with [Message.Start]. If ctx is canceled, ReceiveMessage returns
// ctx.Err(), and the next consumer gets the message. If the subscription is closed,
// it returns an error that matches redis.ErrClosed.
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

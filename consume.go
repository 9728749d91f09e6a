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
	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// Messages returns an iterator over the messages of the subscription. Each message has a
// consumer span, which is in the context that the loop body gets. The span ends with the
// body: after its last statement, or by continue, break, return or a panic. See
// [Message.Start] for the relation of the span to the producer's. The duration of the body
// is recorded as messaging.process.duration.
//
// The loop ends when ctx is canceled or the subscription is closed. Messages that the
// subscription has read, and no consumer has taken, stay for the next consumer. Close
// drops them, and [PubSub.Shutdown] waits until the loop has handled them.
func (p *PubSub) Messages(ctx context.Context) iter.Seq2[context.Context, *Message] {
	return func(yield func(context.Context, *Message) bool) {
		p.loops.Add(1)
		defer p.loops.Add(-1)
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

// Handler handles a message. The context has the consumer span; see [PubSub.Process].
type Handler func(ctx context.Context, msg *Message) error

// Process calls handle for each message, one after the other. The context that handle gets
// has the consumer span, as in the body of a loop over [PubSub.Messages].
//
// If handle returns an error, the span gets it as its status and error.type, and Process
// goes on with the next message. If handle panics, the span gets an error status, too, and
// the panic continues.
//
// Process returns ctx.Err() when ctx is canceled, and nil when the subscription is closed.
func (p *PubSub) Process(ctx context.Context, handle Handler) error {
	p.loops.Add(1)
	defer p.loops.Add(-1)
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

// process calls handle within the consumer span of m. If handle panics, process ends the
// span and panics with the same value.
func (m *Message) process(ctx context.Context, handle Handler) {
	ctx, span := m.start(ctx)
	returned := false
	defer func() {
		if !returned {
			v := recover()
			if v != nil {
				defer panic(v)
				span.Panicked(fmt.Sprint(v))
			} else { // runtime.Goexit was called, for example by t.FailNow
				span.Panicked("the handler ended its goroutine")
			}
		}
		span.End()
	}()
	span.Returned(handle(ctx, m))
	returned = true
}

// Channel returns a Go channel with the messages of the subscription, for select loops. It
// returns the same channel each time. The receiver starts the consumer span with
// [Message.Start]. The channel is closed when the subscription is closed.
//
// Unlike that of redis.PubSub, the channel drops no message. If messages are not received,
// the subscription stops reading.
func (p *PubSub) Channel() <-chan *Message {
	p.sub.Start()
	return p.messages
}

// ReceiveMessage waits for a message and returns it. The caller starts the consumer span
// with [Message.Start].
//
// ReceiveMessage returns ctx.Err() if ctx is canceled; the next consumer then gets the
// message. It returns redis.ErrClosed if the subscription is closed.
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
	var m *Message
	var ok bool
	select {
	case m, ok = <-p.messages:
	default: // only now, since a select that waits for ctx too takes longer
		select {
		case m, ok = <-p.messages:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if !ok {
		return nil, subscription.ErrClosed
	}
	return m, nil
}

// deliver passes m to the consumers. It waits until one takes m, or there is room in the
// buffer. It drops m when the subscription is closed.
func (p *PubSub) deliver(m *redis.Message) {
	var a wire.Accounting
	msg := p.cfg.open(m, p.server, &a)
	p.arrivals.add(msg, &a)
	p.sending.Lock()
	defer p.sending.Unlock()
	if p.sealed {
		return
	}
	select {
	case p.messages <- msg:
		return
	default:
	}
	p.arrivals.blocked.Store(true)
	defer p.arrivals.blocked.Store(false)
	select {
	case p.messages <- msg:
	case <-p.done:
		p.dropped.Add(1)
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// ProcessPipelineHook traces a pipeline or a transaction, in which MULTI and EXEC are
// commands like the others.
func (h *hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !slices.ContainsFunc(cmds, publishes) {
			return next(ctx, cmds)
		}
		ctx, first := h.first(ctx)
		if !first {
			return next(ctx, cmds)
		}
		b := h.batch(cmds)
		if len(b.messages) == 0 {
			return next(ctx, cmds)
		}
		return b.send(ctx, next)
	}
}

// batch is a pipeline with messages among its commands.
type batch struct {
	*tracing
	cmds     []redis.Cmder // with the copies of the messages, once they are made
	messages []outgoing
	at       []int // where they are in cmds
}

func (t *tracing) batch(cmds []redis.Cmder) *batch {
	b := &batch{tracing: t, cmds: cmds}
	for i, cmd := range cmds {
		m := outgoing{cmd: cmd, operation: operationOf(cmd)}
		if m.operation == nil || !t.look(&m) {
			continue
		}
		if b.messages == nil {
			b.messages = make([]outgoing, 0, len(cmds)-i)
			b.at = make([]int, 0, len(cmds)-i)
		}
		b.messages = append(b.messages, m)
		b.at = append(b.at, i)
	}
	return b
}

func (b *batch) send(ctx context.Context, next redis.ProcessPipelineHook) error {
	start := spanStart{
		operation: sendingMessages,
		server:    b.cfg.server(b.client),
		messages:  len(b.messages),
	}
	start.channel, start.template = b.destination()
	if !b.cfg.batchSpanOnly {
		start.operation, start.links = sending, b.create(ctx)
	}
	ctx, span := b.cfg.startSpan(ctx, &start)
	sending := b.cfg.measurement(&start)
	sending.begin(ctx)
	failure, uncounted := panicked, len(b.messages)
	defer func() { endProducer(ctx, span, &sending, failure, uncounted) }()

	if b.cfg.batchSpanOnly {
		b.copyAll(ctx)
	}
	b.replace()
	err := next(ctx, b.cmds)
	failure, uncounted = attribute.KeyValue{}, 0
	first := b.takeOver(err, func(err error) {
		var each attribute.KeyValue
		if err != nil {
			each = publishErrorType(err)
		}
		sending.count(ctx, each)
	})
	if first != nil {
		failure = publishErrorType(first)
		fail(span, failure, first.Error())
	}
	return err
}

// destination is the channel of all messages, and the template of all, or "" where
// they have not the same.
func (b *batch) destination() (channel, template string) {
	channel, template = b.messages[0].channel, b.messages[0].template
	for i := range b.messages {
		if b.messages[i].channel != channel {
			channel = ""
		}
		if b.messages[i].template != template {
			template = ""
		}
	}
	return channel, template
}

// create makes a span for each message, whose context the message carries, and
// returns links to them. They tell of the creation alone, and end with it.
func (b *batch) create(ctx context.Context) []trace.Link {
	e := encoders.Get().(*encoder)
	defer e.free()
	links := make([]trace.Link, len(b.messages))
	room := make([]any, len(b.messages)*arguments)
	for i := range b.messages {
		m := &b.messages[i]
		start := b.spanOf(m, creating)
		ctx, span := b.cfg.startSpan(ctx, &start)
		b.begin(ctx, e, m)
		b.copy(ctx, e, m, part(room, i))
		if m.err != nil {
			fail(span, publishErrorType(m.err), m.err.Error())
		}
		span.End()
		links[i] = trace.Link{SpanContext: span.SpanContext()}
	}
	return links
}

// copyAll makes all messages carry the context of ctx.
func (b *batch) copyAll(ctx context.Context) {
	e := encoders.Get().(*encoder)
	defer e.free()
	e.begin(ctx, b.cfg)
	room := make([]any, len(b.messages)*arguments)
	for i := range b.messages {
		b.copy(ctx, e, &b.messages[i], part(room, i))
	}
}

// part is the room for the arguments of a message, apart from those of the others.
func part(room []any, i int) []any {
	return room[i*arguments : (i+1)*arguments : (i+1)*arguments]
}

// replace puts the copies in the places of the messages, in a slice of its own.
func (b *batch) replace() {
	b.cmds = slices.Clone(b.cmds)
	for i, at := range b.at {
		b.cmds[at] = b.messages[i].toSend()
	}
}

// takeOver gives the callers' commands their replies and returns the first error of a
// message; err is that of the pipeline, which may be about something else in it. It
// calls each for every message, with its error.
func (b *batch) takeOver(err error, each func(err error)) (first error) {
	for i := range b.messages {
		failure := b.failure(&b.messages[i], err)
		each(failure)
		if first == nil {
			first = failure
		}
	}
	return first
}

// failure takes over the reply of one message, and returns its error.
func (b *batch) failure(m *outgoing, err error) error {
	answered := m.takeOver()
	switch {
	case m.sent == nil:
		// The caller's own command is not asked: it might wait. An answer of the server
		// may be about another command; any other error is about all of them.
		if _, answer := errors.AsType[redis.Error](err); answer {
			return nil
		}
		return err
	case m.sent.Err() != nil:
		return m.sent.Err()
	case answered:
		return nil
	case err == nil:
		b.reportNotSent(m)
	}
	return err // if there is one, it was not sent
}

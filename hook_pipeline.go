// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
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
		b := h.batch(ctx, cmds)
		if len(b.messages) == 0 {
			return next(ctx, cmds)
		}
		return b.send(ctx, next)
	}
}

func (b *batch) send(ctx context.Context, next redis.ProcessPipelineHook) error {
	start := telemetry.SpanStart{
		Operation: telemetry.Send,
		Server:    b.cfg.server(b.client),
		Messages:  len(b.messages),
	}
	start.Destination, start.Template = b.destination()
	if !b.cfg.batchSpanOnly {
		start.Links = b.create(ctx)
	} else {
		start.Links = b.carried()
		if b.own() > 0 {
			start.Operation = telemetry.SendAndCreate
		}
	}
	ctx, span := b.cfg.telemetry.Start(ctx, &start)
	defer span.End()

	if b.cfg.batchSpanOnly {
		b.substituteAll(ctx)
	}
	b.replace()
	err := next(context.WithValue(ctx, batchKey{}, b), b.cmds)
	span.Returned(b.takeReplies(err, span.Sent))
	b.free()
	return err
}

// create starts and ends a create span for each message that is not an envelope already,
// and makes the substitute that carries its context. It returns links to the create spans
// of all messages.
func (b *batch) create(ctx context.Context) []trace.Link {
	e := encoders.Get().(*encoder)
	defer e.free()
	links := make([]trace.Link, 0, len(b.messages))
	for i := range b.messages {
		m := &b.messages[i]
		if m.envelope {
			links = appendLink(links, m.carried)
			continue
		}
		start := b.spanOf(m, telemetry.Create)
		ctx, span := b.cfg.telemetry.Start(ctx, &start)
		b.begin(ctx, e, m)
		b.substitute(ctx, e, m)
		span.Returned(m.err)
		span.End()
		links = append(links, trace.Link{SpanContext: span.Unwrap().SpanContext()})
	}
	return links
}

// carried returns links to the span contexts of the messages that are envelopes already.
func (b *batch) carried() (links []trace.Link) {
	for i := range b.messages {
		links = appendLink(links, b.messages[i].carried)
	}
	return links
}

func appendLink(links []trace.Link, to *trace.SpanContext) []trace.Link {
	if to == nil {
		return links
	}
	return append(links, trace.Link{SpanContext: *to})
}

// substituteAll makes the substitutes of all messages that are not envelopes already. They
// carry the trace context of ctx.
func (b *batch) substituteAll(ctx context.Context) {
	e := encoders.Get().(*encoder)
	defer e.free()
	e.begin(ctx, b.cfg)
	for i := range b.messages {
		if m := &b.messages[i]; !m.envelope {
			b.substitute(ctx, e, m)
		}
	}
}

// replace replaces the slice of the caller by a copy with the substitutes.
func (b *batch) replace() {
	b.cmds = slices.Clone(b.cmds)
	for i, at := range b.at {
		b.cmds[at] = b.messages[i].Sent()
	}
}

// takeReplies passes the replies to the commands of the caller, calls each with the error of
// every message, and returns the first of these errors. err is the error of the pipeline,
// which may be about a command that does not publish.
func (b *batch) takeReplies(err error, each func(err error)) (first error) {
	for i := range b.messages {
		failure := b.failure(&b.messages[i], err)
		each(failure)
		if first == nil {
			first = failure
		}
	}
	return first
}

// failure passes the reply of m to the command of the caller, and returns its error.
func (b *batch) failure(m *publishCommand, err error) error {
	answered := m.TakeReply()
	switch {
	case !m.Substituted():
		return b.failureOf(m.Caller, err)
	case m.Sent().Err() != nil:
		return m.Sent().Err()
	case answered:
		return nil
	}
	return err // nil: a later hook has not sent it, or has sent a copy and kept the reply
}

// failureOf returns the error of a message without a substitute, whose command does not
// show whether there was a reply.
func (b *batch) failureOf(cmd redis.Cmder, err error) error {
	if err == nil {
		return nil // otherwise the pipeline would have the error, too
	}
	if own := rediscmd.ErrorOf(cmd); own != nil {
		return own
	}
	if rediscmd.IsReply(err) {
		return nil // it is the reply to another command
	}
	// go-redis sets any other error on the commands that have failed. If no command has it,
	// it comes from a hook that has sent nothing.
	if slices.ContainsFunc(b.cmds, func(cmd redis.Cmder) bool { return rediscmd.ErrorOf(cmd) != nil }) {
		return nil
	}
	return err
}

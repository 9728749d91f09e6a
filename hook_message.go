// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// arguments is how many there are of a command that publishes: its name, the channel and
// the payload. Redis refuses it with any other number.
const arguments = 3

// operationOf is what a command publishes with, or nil if it does not publish.
func operationOf(cmd redis.Cmder) *telemetry.Operation {
	if len(cmd.Args()) != arguments {
		return nil
	}
	switch cmd.Name() {
	case "publish":
		return telemetry.Publish
	case "spublish":
		return telemetry.SPublish
	}
	return nil
}

func publishes(cmd redis.Cmder) bool { return operationOf(cmd) != nil }

// outgoing is a command that publishes on a traced channel.
//
// The command is the caller's, who may read its arguments at any time, and of an
// auto-pipeline it may be in use: it is not changed, and nothing but its arguments is
// read. What is sent is a copy with another payload.
type outgoing struct {
	cmd       redis.Cmder
	operation *telemetry.Operation
	channel   string
	template  string
	envelope  bool               // it is one already, and goes out itself
	bare      bool               // the payload goes out as it is
	body      []byte             // the bytes of the payload, unless it goes out bare
	err       error              // why it has none
	carried   *trace.SpanContext // by an envelope; nil: it is none, or carries none that is valid
	sent      redis.Cmder
}

// look finds out what m is, but for its template. It is none of ours if its channel is
// not traced. Of an envelope it returns what that carries.
func (t *tracing) look(m *outgoing) (carrier Carrier, ours bool) {
	channel, ok := channelOf(m.cmd)
	if !ok || !t.traces(channel) {
		return carrier, false
	}
	m.channel = channel
	m.bare = !t.cfg.envelopes(channel)
	payload := m.cmd.Args()[2]
	if e, made := payload.(*enveloped); made {
		_, _ = t.cfg.decode(e.text, &carrier)
		m.envelope = true
		return carrier, true
	}
	var body []byte
	if !m.bare {
		body, m.err = payloadBytes(nil, payload)
		m.body = body
	} else {
		body = plainBytes(payload)
	}
	m.envelope = wire.IsEnvelope(body, t.cfg.propagation().fields, &carrier.fields)
	return carrier, true
}

// channelOf is the channel of a command that publishes; there is none if go-redis
// refuses what it is given as one.
func channelOf(cmd redis.Cmder) (channel string, ok bool) {
	name := cmd.Args()[1]
	if channel, ok = name.(string); ok {
		return channel, true
	}
	b, err := payloadBytes(nil, name)
	return string(b), err == nil
}

// plainBytes are the bytes of a payload that is text or bytes already. Others are for
// go-redis to marshal, which is to be done once.
func plainBytes(payload any) []byte {
	switch payload.(type) {
	case string, *string, []byte:
		b, _ := payloadBytes(nil, payload)
		return b
	}
	return nil
}

// carriedBy is the span context in the carrier of an envelope; nil if none is valid.
func (c *config) carriedBy(carrier Carrier) *trace.SpanContext {
	if _, carried := c.producer(context.Background(), &carrier); carried.IsValid() {
		return &carried
	}
	return nil
}

// spanOf is the start of a span that is about m alone.
func (t *tracing) spanOf(m *outgoing, o *telemetry.Operation) telemetry.SpanStart {
	return telemetry.SpanStart{
		Operation:   o,
		Destination: m.channel,
		Template:    m.template,
		Server:      t.cfg.server(t.client),
	}
}

// begin makes e write the context of ctx.
func (t *tracing) begin(ctx context.Context, e *encoder, m *outgoing) {
	if !m.bare && m.err == nil {
		e.begin(ctx, t.cfg)
	}
}

// copy makes the command that is sent for m, with the context that e has begun with.
func (t *tracing) copy(ctx context.Context, e *encoder, m *outgoing, room *copies) {
	args := room.arguments(m.cmd)
	switch {
	case m.bare:
	case m.err != nil:
		args[2] = refused(args[2], m.err)
	default:
		e.Wrap(m.body)
		args[2] = room.enveloped(&e.Writer)
	}
	m.sent = room.command(ctx, m.cmd, args)
	if m.sent == nil && !m.bare {
		t.unchangeable.Do(func() {
			t.cfg.handle(fmt.Errorf("tracedpubsub: a message goes out without its trace context: there is no sending another payload with a command of type %T", m.cmd))
		})
	}
}

// toSend is what goes to go-redis.
func (m *outgoing) toSend() redis.Cmder {
	if m.sent == nil {
		return m.cmd
	}
	return m.sent
}

// takeOver gives the caller's command the reply of the copy. It returns false if
// there is none: the copy was not sent, and what happened to the caller's command is
// not to be touched.
func (m *outgoing) takeOver() (answered bool) {
	if m.sent == nil {
		return true // it is the caller's own
	}
	switch sent := m.sent.(type) {
	case *redis.IntCmd:
		if answered = sent.Val() != unanswered; answered {
			m.cmd.(*redis.IntCmd).SetVal(sent.Val())
		}
	case *redis.Cmd:
		if answered = sent.Val() != nil; answered {
			m.cmd.(*redis.Cmd).SetVal(sent.Val())
		}
	case *redis.RawCmd:
		if answered = sent.Val() != nil; answered {
			m.cmd.(*redis.RawCmd).SetVal(sent.Val())
		}
	}
	if answered || m.sent.Err() != nil {
		m.cmd.SetErr(m.sent.Err())
		return true
	}
	return false
}

// receivers is the reply, if it is the number that it should be.
func (m *outgoing) receivers() (n int64, ok bool) {
	switch sent := m.sent.(type) {
	case *redis.IntCmd:
		return sent.Val(), true
	case *redis.Cmd:
		n, err := sent.Int64()
		return n, err == nil
	}
	return 0, false
}

// reportNotSent tells, once, of a message that has gone past its envelope.
func (t *tracing) reportNotSent(m *outgoing) {
	if m.bare {
		return
	}
	t.notSent.Do(func() {
		t.cfg.handle(errors.New("tracedpubsub: a message goes out without its trace context: go-redis does not send what a hook gives to it, as on full-duplex auto-pipelines"))
	})
}

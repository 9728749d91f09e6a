// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// publishCommand is a command that publishes on a traced channel, with what a hook knows
// about its message.
type publishCommand struct {
	rediscmd.PublishCommand
	operation *telemetry.Operation
	channel   string
	template  string
	envelope  bool               // the payload is an envelope already, and is sent as it is
	ignored   bool               // go-redis will not send the substitute, so the message gets no number
	plain     bool               // the payload is sent without an envelope
	body      []byte             // the bytes of the payload, unless plain is set
	err       error              // why the payload has no bytes
	carried   *trace.SpanContext // carried by a payload that is an envelope; nil: no valid one
}

func newPublishCommand(cmd redis.Cmder, o *telemetry.Operation) publishCommand {
	return publishCommand{PublishCommand: rediscmd.PublishCommand{Caller: cmd}, operation: o}
}

// operationOf returns the operation of cmd, or nil if cmd does not publish.
func operationOf(cmd redis.Cmder) *telemetry.Operation {
	switch rediscmd.KindOf(cmd) {
	case rediscmd.Publish:
		return telemetry.Publish
	case rediscmd.SPublish:
		return telemetry.SPublish
	default:
		return nil
	}
}

func publishes(cmd redis.Cmder) bool { return rediscmd.KindOf(cmd) != rediscmd.Other }

// inspect sets all fields of m except its template. traced is false if its channel is not
// traced. carrier is that of a payload that is an envelope already.
func (t *tracing) inspect(m *publishCommand) (carrier Carrier, traced bool) {
	channel, ok := rediscmd.ChannelOf(m.Caller)
	if !ok || !t.traces(channel) {
		return carrier, false
	}
	m.channel = channel
	m.plain = !t.cfg.envelopes(channel)
	payload := rediscmd.PayloadOf(m.Caller)
	if message, ok := payload.(*rediscmd.WireMessage); ok {
		_, _ = t.cfg.decode(message.String(), &carrier, nil)
		m.envelope = true
		return carrier, true
	}
	var body []byte
	if m.plain {
		body, _ = rediscmd.TextBytes(payload) // another payload must be marshaled only once, by go-redis
	} else {
		body, m.err = rediscmd.PayloadBytes(nil, payload)
		m.body = body
	}
	m.envelope = wire.IsEnvelope(body, t.cfg.propagation().fields, &carrier.fields)
	return carrier, true
}

// carriedBy returns the span context that carrier holds, or nil if it holds no valid one.
func (c *config) carriedBy(carrier Carrier) *trace.SpanContext {
	if _, carried := c.producer(context.Background(), &carrier); carried.IsValid() {
		return &carried
	}
	return nil
}

// spanOf returns the start of a span for the message m.
func (t *tracing) spanOf(m *publishCommand, o *telemetry.Operation) telemetry.SpanStart {
	return telemetry.SpanStart{
		Operation:   o,
		Destination: m.channel,
		Template:    m.template,
		Server:      t.cfg.server(t.client),
	}
}

// begin prepares e to write envelopes with the trace context of ctx, if m gets one.
func (t *tracing) begin(ctx context.Context, e *encoder, m *publishCommand) {
	if !m.plain && m.err == nil {
		e.begin(ctx, t.cfg)
	}
}

// substitute makes the command that is sent in place of m's. e must have been prepared by
// begin.
func (t *tracing) substitute(ctx context.Context, e *encoder, m *publishCommand) {
	var ok bool
	switch payload := rediscmd.PayloadOf(m.Caller); {
	case m.plain:
		m.SubstitutePayload(ctx, payload)
		return
	case m.err != nil:
		ok = m.SubstitutePayload(ctx, rediscmd.Refused(payload, m.err))
	case m.Substitutable(): // otherwise the message must not use up a number
		ledger := t.cfg.ledgerOf(m.operation)
		if m.ignored {
			ledger = nil
		}
		e.wrap(m.body, ledger, m.channel)
		ok = m.SubstituteEnvelope(ctx, e.Text())
	}
	if !ok {
		t.unsubstituted.Do(func() {
			t.cfg.handle(fmt.Errorf("tracedpubsub: a message is sent without its trace context: a command of type %T cannot be copied", m.Caller))
		})
	}
}

// reportIgnored reports that go-redis has sent m without its envelope, if it should have
// one. It reports only the first such message. It is called for a message without a reply,
// and does nothing if a later hook has not sent it.
func (t *tracing) reportIgnored(m *publishCommand) {
	if m.plain || !rediscmd.OnFullDuplex() {
		return
	}
	t.ignored.Do(func() {
		t.cfg.handle(errors.New("tracedpubsub: a message is sent without its trace context: a full-duplex auto-pipeline does not send what a hook gives to it"))
	})
}

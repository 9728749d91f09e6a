// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// SpanStart is what is known about an operation when its span starts. Samplers get it.
type SpanStart struct {
	Operation   *Operation
	Destination string // "": there are several, or it is not known
	Template    string // the low-cardinality name of Destination; "": none
	Server      *Server
	Envelope    string // the value of tracedpubsub.envelope; "": none
	Skipped     int64  // how many messages were skipped right before this one
	Messages    int    // the number of messages of a batch; 0: a single message

	Root    bool // the span has no parent
	Links   []trace.Link
	Options []trace.SpanStartOption // applied last
}

// Span is a span, with the measurement of the same operation. It must be used by one
// goroutine at a time. The methods of the zero Span do nothing.
type Span struct {
	telemetry   *Telemetry
	span        trace.Span
	operation   *Operation
	measurement measurement

	hasOutcome bool   // Returned or Panicked was called
	errorType  string // "": success
	uncounted  int    // the number of messages to send that are not counted yet
}

// Start starts a span and its measurement. The returned context has the span.
func (t *Telemetry) Start(ctx context.Context, start *SpanStart) (context.Context, Span) {
	ctx, span := t.startSpan(ctx, start)
	s := Span{telemetry: t, span: span, operation: start.Operation}
	if start.Operation != Process {
		s.uncounted = max(1, start.Messages)
	}
	if start.Operation != Create { // nothing has been sent yet
		s.measurement.start(ctx, t.instruments(), start)
	}
	return ctx, s
}

// startSpan starts a span. If the tracer panics, the span does nothing, and has the span
// context of ctx.
func (t *Telemetry) startSpan(ctx context.Context, start *SpanStart) (spanCtx context.Context, span trace.Span) {
	defer func() {
		if span == nil {
			spanCtx, span = noopTracer.Start(ctx, "")
		}
	}()
	defer t.contain(tracerProvider)
	o, _ := t.startOptions.Get().(*startOptions)
	if o == nil {
		o = newStartOptions(t.Attributes)
	}
	startedCtx, started := t.tracer().Start(ctx, spanName(start), o.fill(start)...)
	o.release()
	t.startOptions.Put(o)
	_ = started.SpanContext() // panics here if the span is a nil pointer, and not later
	return startedCtx, started
}

// Unwrap returns the span without its measurement. If the caller ends that span, the duration
// of the operation is not recorded.
func (s *Span) Unwrap() trace.Span {
	if s.span == nil {
		return noop.Span{}
	}
	return s.span
}

// Consumed counts a message as delivered to the application.
func (s *Span) Consumed() { s.measurement.count("") }

// Sent counts one message of a batch. err is nil if the message was sent. End counts the
// messages for which Sent was not called.
func (s *Span) Sent(err error) {
	if s.span == nil {
		return
	}
	s.uncounted--
	errorType := ""
	if err != nil {
		errorType, _ = s.telemetry.describe(err, s.operation.errorType)
	}
	s.measurement.count(errorType)
}

// SetReceivers sets the number of clients that have received a message.
func (s *Span) SetReceivers(n int64) {
	if s.span == nil {
		return
	}
	defer s.telemetry.contain(tracerProvider)
	if s.span.IsRecording() {
		s.span.SetAttributes(receiversKey.Int64(n))
	}
}

// Returned sets the outcome of an operation that has returned err.
func (s *Span) Returned(err error) {
	if s.span != nil && err != nil {
		s.fail(s.telemetry.describe(err, s.operation.errorType))
	}
	s.hasOutcome = true
}

// Panicked sets the outcome of an operation that has panicked.
func (s *Span) Panicked(description string) {
	if s.span != nil {
		s.fail(panicErrorType, description)
	}
	s.hasOutcome = true
}

func (s *Span) fail(errorType, description string) {
	s.errorType = errorType
	defer s.telemetry.contain(tracerProvider)
	if s.span.IsRecording() {
		setError(s.span, errorType, description)
	}
}

// End ends the span and records its measurement. It is deferred, so if neither Returned nor
// Panicked was called, the operation has panicked.
func (s *Span) End() {
	if s.span == nil {
		return
	}
	if !s.hasOutcome {
		s.Panicked(s.operation.panicked)
	}
	s.measurement.end(s.errorType)
	for range s.uncounted {
		s.measurement.count(s.errorType)
	}
	defer s.telemetry.contain(tracerProvider)
	s.span.End()
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// measurement records the duration and the messages of one operation. All methods of
// the zero measurement do nothing.
type measurement struct {
	ctx      context.Context // holds the span, which becomes the exemplar
	cache    *seriesCache
	duration metric.Float64Histogram
	messages metric.Int64Counter // nil: nothing is measured

	operation *Operation
	template  string
	server    *Server
	began     time.Time // zero: the duration is not measured
}

// measure starts the measurement of an operation. ctx holds its span.
func (t *Telemetry) measure(ctx context.Context, s *SpanStart) measurement {
	if s.Operation == Create {
		return measurement{}
	}
	in := t.instruments()
	m := measurement{
		ctx: ctx, cache: in.series, duration: in.operationDuration, messages: in.sent,
		operation: s.Operation, template: s.Template, server: s.Server,
	}
	if s.Operation == Process {
		m.duration, m.messages = in.processDuration, in.consumed
	}
	if m.duration.Enabled(ctx) {
		m.began = time.Now()
	}
	return m
}

// end records the time since measure. An empty errorType stands for success.
func (m *measurement) end(errorType string) {
	if m.began.IsZero() {
		return
	}
	seconds := time.Since(m.began).Seconds()
	m.duration.Record(m.ctx, seconds, m.series(errorType).record[:]...)
}

// count counts a message. An empty errorType stands for success.
func (m *measurement) count(errorType string) {
	if m.messages != nil && m.messages.Enabled(m.ctx) {
		m.messages.Add(m.ctx, 1, m.series(errorType).add[:]...)
	}
}

func (m *measurement) series(errorType string) *series {
	return m.cache.get(m.template, series{operation: m.operation, server: m.server, errorType: errorType})
}

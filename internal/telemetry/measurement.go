// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// measurement records the duration and the messages of one operation. The methods of the
// zero measurement do nothing.
type measurement struct {
	ctx         context.Context // has the span, for exemplars
	instruments *instruments    // nil: nothing is measured
	operation   *Operation
	template    string
	server      *Server
	began       time.Time // zero: the duration is not measured
}

// start starts the measurement of an operation. ctx has its span.
func (m *measurement) start(ctx context.Context, in *instruments, s *SpanStart) {
	m.ctx, m.instruments = ctx, in
	m.operation, m.template, m.server = s.Operation, s.Template, s.Server
	defer in.telemetry.contain(meterProvider)
	if m.duration().Enabled(ctx) {
		m.began = time.Now()
	}
}

// end records the time since start was called. An empty errorType means success.
func (m *measurement) end(errorType string) {
	if m.began.IsZero() {
		return
	}
	defer m.instruments.telemetry.contain(meterProvider)
	seconds := time.Since(m.began).Seconds()
	m.duration().Record(m.ctx, seconds, m.series(errorType).record[:]...)
}

// count counts a message. An empty errorType means success.
func (m *measurement) count(errorType string) {
	if m.instruments == nil {
		return
	}
	defer m.instruments.telemetry.contain(meterProvider)
	if messages := m.messages(); messages.Enabled(m.ctx) {
		messages.Add(m.ctx, 1, m.series(errorType).add[:]...)
	}
}

func (m *measurement) duration() metric.Float64Histogram {
	if m.operation == Process {
		return m.instruments.processDuration
	}
	return m.instruments.operationDuration
}

func (m *measurement) messages() metric.Int64Counter {
	if m.operation == Process {
		return m.instruments.consumed
	}
	return m.instruments.sent
}

func (m *measurement) series(errorType string) *series {
	return m.instruments.series.get(m.template, series{operation: m.operation, server: m.server, errorType: errorType})
}

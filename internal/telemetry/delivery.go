// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"time"
)

// CountLost counts messages that were published and did not arrive.
func (t *Telemetry) CountLost(ctx context.Context, server *Server, template string, n int64) {
	in := t.instruments()
	defer t.contain(meterProvider)
	if in.lost.Enabled(ctx) {
		in.lost.Add(ctx, n, in.series.get(template, series{server: server}).add[:]...)
	}
}

// CountDuplicate counts a message that had arrived before.
func (t *Telemetry) CountDuplicate(ctx context.Context, server *Server, template string) {
	in := t.instruments()
	defer t.contain(meterProvider)
	if in.duplicates.Enabled(ctx) {
		in.duplicates.Add(ctx, 1, in.series.get(template, series{server: server}).add[:]...)
	}
}

// Delayed records the time from publishing a message to the hand-over to the consumer.
func (s *Span) Delayed(published time.Time) { s.measurement.delayed(published) }

func (m *measurement) delayed(published time.Time) {
	if m.instruments == nil {
		return
	}
	defer m.instruments.telemetry.contain(meterProvider)
	if delay := m.instruments.delay; delay.Enabled(m.ctx) {
		seconds := max(0, time.Since(published).Seconds()) // below zero, the clocks differ
		delay.Record(m.ctx, seconds, m.instruments.series.get(m.template, series{server: m.server}).record[:]...)
	}
}

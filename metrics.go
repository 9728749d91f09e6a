// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// instruments are those of one meter provider, and what is prepared to record
// with them.
type instruments struct {
	provider metric.MeterProvider
	prepared *seriesCache

	operationDuration metric.Float64Histogram
	sent              metric.Int64Counter
	consumed          metric.Int64Counter
	processDuration   metric.Float64Histogram
	reconnects        metric.Int64Counter
	errors            metric.Int64Counter
}

// metrics returns the instruments of the provider in force. They are kept for as
// long as it stays the same.
func (c *config) metrics() *instruments {
	kept, provider := c.meters.Load(), c.meterProvider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	if kept != nil && (c.meterProvider != nil || identical(kept.provider, provider)) {
		return kept
	}
	i, err := newInstruments(provider)
	c.meters.Store(i)
	if err != nil {
		go c.handle(err) // whoever records may hold a lock that the user's function needs
	}
	return i
}

// durations are the boundaries, in seconds, that the conventions advise for both
// histograms.
var durations = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// newInstruments makes the instruments. One that cannot be made records nothing.
func newInstruments(provider metric.MeterProvider) (*instruments, error) {
	meter := provider.Meter(ScopeName,
		metric.WithInstrumentationVersion(Version),
		metric.WithSchemaURL(semconv.SchemaURL))
	boundaries := metric.WithExplicitBucketBoundaries(durations...)
	operationDuration, err1 := messagingconv.NewClientOperationDuration(meter, boundaries)
	sent, err2 := messagingconv.NewClientSentMessages(meter)
	consumed, err3 := messagingconv.NewClientConsumedMessages(meter)
	processDuration, err4 := messagingconv.NewProcessDuration(meter, boundaries)
	reconnects, err5 := newCounter(meter, "tracedpubsub.subscription.reconnects",
		"{reconnect}", "Number of connections of subscriptions that took the place of a lost one.")
	failures, err6 := newCounter(meter, "tracedpubsub.subscription.errors",
		"{error}", "Number of times that a subscription lost its connection, could not connect, or had a name refused or taken away.")
	return &instruments{
		provider:          provider,
		prepared:          newSeriesCache(),
		operationDuration: operationDuration.Inst(),
		sent:              sent.Inst(),
		consumed:          consumed.Inst(),
		processDuration:   processDuration.Inst(),
		reconnects:        reconnects,
		errors:            failures,
	}, errors.Join(err1, err2, err3, err4, err5, err6)
}

func newCounter(meter metric.Meter, name, unit, description string) (metric.Int64Counter, error) {
	counter, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	if err != nil {
		return noop.Int64Counter{}, err
	}
	return counter, nil
}

// measurement is an operation as the metrics see it. The zero measurement
// records nothing.
//
// Contexts are to hold the span of the operation: it becomes the exemplar.
type measurement struct {
	with     *instruments
	duration metric.Float64Histogram
	messages metric.Int64Counter

	operation *operation
	template  string
	server    []attribute.KeyValue

	began time.Time // zero: the duration is not wanted
}

// measurement prepares to measure the operation that s describes, and does not
// begin yet. To create a message for later is not measured: nothing is sent yet,
// and the conventions forbid to count it.
func (c *config) measurement(s *spanStart) measurement {
	m := measurement{operation: s.operation, template: s.template, server: s.server}
	switch s.operation {
	case creating:
		return measurement{}
	case processing:
		m.with = c.metrics()
		m.duration, m.messages = m.with.processDuration, m.with.consumed
	default:
		m.with = c.metrics()
		m.duration, m.messages = m.with.operationDuration, m.with.sent
	}
	return m
}

// begin takes the time, if anybody wants it.
func (m *measurement) begin(ctx context.Context) {
	if m.with != nil && m.duration.Enabled(ctx) {
		m.began = time.Now()
	}
}

// end records the duration since begin. The zero failure stands for none.
func (m *measurement) end(ctx context.Context, failure attribute.KeyValue) {
	if m.began.IsZero() {
		return
	}
	seconds := time.Since(m.began).Seconds()
	m.duration.Record(ctx, seconds, m.series(failure).record[:]...)
}

// count counts a message. The zero failure stands for none.
func (m *measurement) count(ctx context.Context, failure attribute.KeyValue) {
	if m.with != nil && m.messages.Enabled(ctx) {
		m.messages.Add(ctx, 1, m.series(failure).add[:]...)
	}
}

func (m *measurement) series(failure attribute.KeyValue) *series {
	return m.with.prepared.of(m.template, m.operation, m.server, failure.Value.AsString())
}

// measurement is that of processing m. A message that is left out by WithFilter
// is not measured.
func (m *Message) measurement() measurement {
	if m.filtered {
		return measurement{}
	}
	return m.config().measurement(&spanStart{operation: processing, template: m.template, server: m.server})
}

// countReconnect counts a connection that took the place of a lost one.
func (p *PubSub) countReconnect() {
	ctx, i := context.Background(), p.cfg.metrics()
	if i.reconnects.Enabled(ctx) {
		i.reconnects.Add(ctx, 1, i.prepared.of("", nil, p.server, "").add[:]...)
	}
}

// countError counts a failure of the subscription.
func (p *PubSub) countError(err error) {
	ctx, i := context.Background(), p.cfg.metrics()
	if i.errors.Enabled(ctx) {
		i.errors.Add(ctx, 1, i.prepared.of("", nil, p.server, subscriptionErrorType(err)).add[:]...)
	}
}

// subscriptionErrorType is the error.type of a failure of a subscription: that of
// a publish, but for what this package has found out by itself.
func subscriptionErrorType(err error) string {
	switch {
	case errors.Is(err, subscription.ErrSilent):
		return "timeout"
	case errors.Is(err, subscription.ErrMoved), errors.Is(err, subscription.ErrRemoved):
		return "MOVED" // what the server would say if it were asked
	}
	return publishErrorType(err).Value.AsString()
}

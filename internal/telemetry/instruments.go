// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"
)

// instruments holds the instruments of one meter provider, and the cache of their time
// series.
type instruments struct {
	telemetry *Telemetry
	provider  metric.MeterProvider
	series    *seriesCache

	operationDuration metric.Float64Histogram
	sent              metric.Int64Counter
	consumed          metric.Int64Counter
	processDuration   metric.Float64Histogram
	reconnects        metric.Int64Counter
	errors            metric.Int64Counter
	delay             metric.Float64Histogram
	lost              metric.Int64Counter
	duplicates        metric.Int64Counter
}

// durations are the bucket boundaries of all histograms, in seconds, as the conventions
// advise.
var durations = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

// makeInstruments makes the instruments of t with a meter of provider. The error has those
// that cannot be made. They record nothing.
func makeInstruments(provider metric.MeterProvider, t *Telemetry) (*instruments, error) {
	meter := provider.Meter(t.ScopeName,
		metric.WithInstrumentationVersion(t.ScopeVersion),
		metric.WithSchemaURL(semconv.SchemaURL))
	operationDuration, err1 := messagingconv.NewClientOperationDuration(meter, durations)
	sent, err2 := messagingconv.NewClientSentMessages(meter)
	consumed, err3 := messagingconv.NewClientConsumedMessages(meter)
	processDuration, err4 := messagingconv.NewProcessDuration(meter, durations)
	reconnects, err5 := newCounter(meter, "tracedpubsub.subscription.reconnects", "{reconnect}",
		"Number of times that a subscription replaced a lost connection.")
	failures, err6 := newCounter(meter, "tracedpubsub.subscription.errors", "{error}",
		"Number of times that a subscription lost its connection, failed to connect, or had a channel or pattern refused or removed by the server.")
	delay, err7 := newHistogram(meter, "tracedpubsub.delivery.delay",
		"Time from publishing a message, by the clock of its publisher, to the hand-over to the consumer.")
	lost, err8 := newCounter(meter, "tracedpubsub.delivery.lost", "{message}",
		"Number of messages that their publishers numbered and that had not arrived 5 s after a later one.")
	duplicates, err9 := newCounter(meter, "tracedpubsub.delivery.duplicates", "{message}",
		"Number of messages that had arrived before.")
	return &instruments{
		telemetry:         t,
		series:            newSeriesCache(),
		operationDuration: operationDuration.Inst(),
		sent:              sent.Inst(),
		consumed:          consumed.Inst(),
		processDuration:   processDuration.Inst(),
		reconnects:        reconnects,
		errors:            failures,
		delay:             delay,
		lost:              lost,
		duplicates:        duplicates,
	}, errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9)
}

func newHistogram(meter metric.Meter, name, description string) (metric.Float64Histogram, error) {
	histogram, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), durations)
	if err != nil {
		return noop.Float64Histogram{}, err
	}
	return histogram, nil
}

func newCounter(meter metric.Meter, name, unit, description string) (metric.Int64Counter, error) {
	counter, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	if err != nil {
		return noop.Int64Counter{}, err
	}
	return counter, nil
}

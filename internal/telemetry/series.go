// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Recording must not allocate, and a set of attributes is expensive to build. Therefore the
// sets are cached. The cache is bounded, because an application may have any number of
// templates.
const (
	// maxTemplates is the number of templates whose series are cached. These are the
	// first ones; the series of later templates are built on each call.
	maxTemplates = 256
	// maxPerTemplate is the number of cached series of one template: one for each
	// operation, server and outcome.
	maxPerTemplate = 32
	// maxErrorTypes is the number of values of error.type. Later values become _OTHER,
	// because servers and applications may have any number of errors.
	maxErrorTypes = 64
)

// series is a time series, with the options to record to it. Its template is the key in the
// cache.
type series struct {
	operation *Operation // nil: a series of subscriptions or of deliveries
	server    *Server
	errorType string // "": success

	record [1]metric.RecordOption
	add    [1]metric.AddOption
}

// seriesCache is a cache of series. Reading it takes no lock.
type seriesCache struct {
	// The map and its slices are replaced, never changed.
	templates atomic.Pointer[map[string][]*series]

	mu         sync.Mutex // held while a series is added
	errorTypes map[string]struct{}
}

func newSeriesCache() *seriesCache {
	c := &seriesCache{errorTypes: map[string]struct{}{
		// These never become _OTHER. MOVED is the reply of a Redis Cluster when another
		// node owns a channel.
		panicErrorType: {}, timeoutErrorType: {}, canceledErrorType: {}, connectionErrorType: {}, "MOVED": {},
	}}
	c.templates.Store(&map[string][]*series{"": nil})
	return c
}

// get returns the series with the given template, which may be empty, and with the
// operation, the server and the error type of wanted.
func (c *seriesCache) get(template string, wanted series) *series {
	if found := c.find(template, &wanted); found != nil {
		return found
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted.errorType = c.boundedErrorType(wanted.errorType)
	if found := c.find(template, &wanted); found != nil {
		return found
	}
	s := newSeries(template, &wanted)
	c.add(template, s)
	return s
}

func (c *seriesCache) find(template string, wanted *series) *series {
	for _, s := range (*c.templates.Load())[template] {
		if s.operation == wanted.operation && s.errorType == wanted.errorType && s.server.equal(wanted.server) {
			return s
		}
	}
	return nil
}

// boundedErrorType returns errorType, or _OTHER if there are too many. The caller
// holds c.mu.
func (c *seriesCache) boundedErrorType(errorType string) string {
	if errorType == "" {
		return ""
	}
	if _, known := c.errorTypes[errorType]; !known {
		if len(c.errorTypes) >= maxErrorTypes {
			return semconv.ErrorTypeOther.Value.AsString()
		}
		c.errorTypes[errorType] = struct{}{}
	}
	return errorType
}

// add adds s if there is room for it. The caller holds c.mu.
func (c *seriesCache) add(template string, s *series) {
	templates := *c.templates.Load()
	list, known := templates[template]
	if !known && len(templates) > maxTemplates || len(list) >= maxPerTemplate { // "" is one template more
		return
	}
	templates = maps.Clone(templates)
	templates[template] = append(slices.Clip(list), s)
	c.templates.Store(&templates)
}

func newSeries(template string, wanted *series) *series {
	s := *wanted
	attributes := appendSeriesAttributes(make([]attribute.KeyValue, 0, maxAttributes), template, &s)
	option := metric.WithAttributeSet(attribute.NewSet(attributes...))
	s.record[0], s.add[0] = option, option
	return &s
}

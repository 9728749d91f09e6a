// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// To record must not allocate, and a set of attributes is expensive to build. So
// sets are kept, but not without bounds: nobody knows how many templates a user's
// function has.
const (
	// keptTemplates is for how many distinct templates series are kept, the first
	// ones. Those of later ones are built on each call.
	keptTemplates = 256
	// keptPerTemplate is how many series are kept for each, one for each operation,
	// server and outcome.
	keptPerTemplate = 32
	// keptErrorTypes is how many distinct values error.type has; all further ones
	// are _OTHER. Some come from the server, or from the user's types of error.
	keptErrorTypes = 64
)

// series is what tells one time series from the others, and the options that
// record to it.
type series struct {
	operation *operation // nil: it is about a subscription, and not about messages
	host      string
	port      int64
	errorType string // "": no failure

	record [1]metric.RecordOption
	add    [1]metric.AddOption
}

// seriesCache keeps series. To find one takes no lock.
type seriesCache struct {
	// What the pointers lead to does not change: it is copied, and replaced.
	templates atomic.Pointer[map[string]*atomic.Pointer[[]*series]]

	mu         sync.Mutex // held to add
	errorTypes map[string]struct{}
}

func newSeriesCache() *seriesCache {
	c := &seriesCache{errorTypes: map[string]struct{}{
		// Those of this package itself nobody can crowd out.
		"panic": {}, "timeout": {}, "canceled": {}, "connection": {}, "MOVED": {},
	}}
	c.templates.Store(&map[string]*atomic.Pointer[[]*series]{"": {}})
	return c
}

// of returns the series of an operation on a template ("": none) and a server,
// with or without an errorType.
func (c *seriesCache) of(template string, o *operation, server []attribute.KeyValue, errorType string) *series {
	wanted := series{operation: o, errorType: errorType}
	for _, kv := range server {
		switch kv.Key {
		case semconv.ServerAddressKey:
			wanted.host = kv.Value.AsString()
		case semconv.ServerPortKey:
			wanted.port = kv.Value.AsInt64()
		}
	}
	if found := c.find(template, &wanted); found != nil {
		return found
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted.errorType = c.bounded(errorType)
	if found := c.find(template, &wanted); found != nil {
		return found
	}
	return c.keep(template, prepare(&wanted, template, server))
}

func (c *seriesCache) find(template string, wanted *series) *series {
	kept := (*c.templates.Load())[template]
	if kept == nil {
		return nil
	}
	list := kept.Load()
	if list == nil {
		return nil
	}
	for _, s := range *list {
		if s.operation == wanted.operation && s.errorType == wanted.errorType && s.port == wanted.port && s.host == wanted.host {
			return s
		}
	}
	return nil
}

// bounded returns errorType, or _OTHER if there have been too many. c.mu is held.
func (c *seriesCache) bounded(errorType string) string {
	if errorType == "" {
		return ""
	}
	if _, known := c.errorTypes[errorType]; !known {
		if len(c.errorTypes) >= keptErrorTypes {
			return semconv.ErrorTypeOther.Value.AsString()
		}
		c.errorTypes[errorType] = struct{}{}
	}
	return errorType
}

// keep keeps s, if there is room for it, and returns it. c.mu is held.
func (c *seriesCache) keep(template string, s *series) *series {
	templates := *c.templates.Load()
	kept := templates[template]
	switch {
	case kept == nil && len(templates) > keptTemplates: // "" is one more
		return s
	case kept == nil:
		kept = new(atomic.Pointer[[]*series])
		more := maps.Clone(templates)
		more[template] = kept
		c.templates.Store(&more)
	}
	var list []*series
	if old := kept.Load(); old != nil {
		list = *old
	}
	if len(list) < keptPerTemplate {
		list = append(slices.Clip(list), s)
		kept.Store(&list)
	}
	return s
}

// prepare makes the series that wanted describes.
func prepare(wanted *series, template string, server []attribute.KeyValue) *series {
	attributes := append(make([]attribute.KeyValue, 0, mostAttributes), messagingSystem)
	if o := wanted.operation; o != nil {
		attributes = append(attributes, o.nameAttribute, o.typeAttribute)
	}
	if template != "" {
		attributes = append(attributes, semconv.MessagingDestinationTemplate(template))
	}
	attributes = append(attributes, server...)
	if wanted.errorType != "" {
		attributes = append(attributes, semconv.ErrorTypeKey.String(wanted.errorType))
	}
	s := *wanted
	option := metric.WithAttributeSet(attribute.NewSet(attributes...))
	s.record[0], s.add[0] = option, option
	return &s
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"reflect"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

// The global propagator is looked up on each call, because an application may set it after
// it has made its clients. What is derived from a propagator is cached for as long as the
// propagator stays the same.

// cachedPropagator is a propagator with what is derived from it.
type cachedPropagator struct {
	key        propagation.TextMapPropagator // for which this is cached
	propagator propagation.TextMapPropagator // key, or noPropagator if key panics
	fields     []string
	w3c        bool // isW3C
}

var (
	w3c          = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	w3cDefault   = &cachedPropagator{w3c, w3c, w3c.Fields(), isW3C(w3c)}
	noPropagator = propagation.NewCompositeTextMapPropagator()
)

// propagation returns the propagator to use.
func (c *config) propagation() *cachedPropagator {
	cached, p := c.cachedPropagator.Load(), c.propagator
	if p == nil {
		p = otel.GetTextMapPropagator()
	}
	if cached != nil && (c.propagator != nil || identical(cached.key, p)) {
		return cached
	}
	fields, panicked := c.fieldsOf(p)
	switch {
	case panicked:
		cached = &cachedPropagator{key: p, propagator: noPropagator}
	case len(fields) > 0:
		cached = &cachedPropagator{p, p, fields, isW3C(p)}
	case c.propagator == nil && isGlobalDefault(p):
		return w3cDefault // not cached, since the global default delegates to one that may be set later
	default:
		return &cachedPropagator{propagator: p}
	}
	c.cachedPropagator.Store(cached)
	return cached
}

// isGlobalDefault reports whether p is the propagator that OpenTelemetry has before the
// application sets one. An application that sets one without fields, such as that of
// OTEL_PROPAGATORS=none, wants no propagation.
func isGlobalDefault(p propagation.TextMapPropagator) bool {
	t := reflect.TypeOf(p)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// fieldsOf returns the fields of a propagator. It recovers from a panic, which would end
// the program on the goroutine that reads. A propagator panics if it is a nil pointer, or if
// the global one was set to nil.
func (c *config) fieldsOf(p propagation.TextMapPropagator) (fields []string, panicked bool) {
	panicked = true
	defer c.contain("the propagator")
	fields = p.Fields()
	return fields, false
}

// identical reports whether a and b are the same propagator. A composite propagator is a
// slice, which cannot be compared with ==.
func identical(a, b any) (same bool) {
	t := reflect.TypeOf(a)
	if t != reflect.TypeOf(b) {
		return false
	}
	if t == nil {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer:
		return a == b
	case reflect.Slice:
		va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
		return va.Len() == vb.Len() && va.Pointer() == vb.Pointer()
	}
	defer func() { _ = recover() }() // == panics for other types that cannot be compared
	return a == b
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"reflect"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

// The global propagator is looked up on each call, so that one that is set later
// counts. What is known of it is kept for as long as it stays the same; that of an
// option is always the same.

// propagatorOf is a propagator and what there is to know of it.
type propagatorOf struct {
	propagator propagation.TextMapPropagator
	fields     []string
	w3c        bool // isW3C
}

var (
	w3c        = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	w3cDefault = &propagatorOf{w3c, w3c.Fields(), isW3C(w3c)}
)

// propagation returns the propagator in force.
func (c *config) propagation() *propagatorOf {
	kept, p := c.propagators.Load(), c.propagator
	if p == nil {
		p = otel.GetTextMapPropagator()
	}
	if kept != nil && (c.propagator != nil || identical(kept.propagator, p)) {
		return kept
	}
	fields := c.fieldsOf(p)
	if len(fields) == 0 {
		// Not kept: the global default delegates to one that may be set later.
		if c.propagator == nil {
			return w3cDefault
		}
		return &propagatorOf{propagator: p}
	}
	kept = &propagatorOf{p, fields, isW3C(p)}
	c.propagators.Store(kept)
	return kept
}

// fieldsOf asks a propagator for its fields. It may be asked on the goroutine that
// reads, where a panic would end the program.
func (c *config) fieldsOf(p propagation.TextMapPropagator) []string {
	defer c.contain("WithPropagators")
	return p.Fields()
}

// identical says whether a and b are the same thing. A composite propagator is a
// slice, which == does not take.
func identical(a, b any) (same bool) {
	t := reflect.TypeOf(a)
	if t != reflect.TypeOf(b) {
		return false
	}
	switch t.Kind() {
	case reflect.Pointer:
		return a == b
	case reflect.Slice:
		va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
		return va.Len() == vb.Len() && va.Pointer() == vb.Pointer()
	}
	// Nor does it take other types that have one inside: they are new each time.
	defer func() { _ = recover() }()
	return a == b
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// startOptions builds the options of a span without an allocation. A tracer copies what it
// needs of them before its Start method returns. The memory is then reused for another span.
type startOptions struct {
	attributes []attribute.KeyValue    // the fixed ones, then those of the span
	fixed      int                     // the number of attributes that all spans have
	set        []trace.SpanStartOption // set[n] sets the first n attributes
	options    []trace.SpanStartOption
}

func newStartOptions(fixed []attribute.KeyValue) *startOptions {
	fixed, _ = validAttributes(fixed)
	o := &startOptions{fixed: len(fixed)}
	o.attributes = append(make([]attribute.KeyValue, 0, len(fixed)+maxAttributes), fixed...)
	o.set = make([]trace.SpanStartOption, cap(o.attributes)+1)
	return o
}

// fill returns the options of a span. They are valid until release.
func (o *startOptions) fill(s *SpanStart) []trace.SpanStartOption {
	n := len(appendSpanAttributes(o.attributes[:o.fixed], s))
	if o.set[n] == nil {
		o.set[n] = trace.WithAttributes(o.attributes[:n]...)
	}
	o.options = append(o.options[:0], s.Operation.kind, o.set[n])
	if s.Root {
		o.options = append(o.options, newRoot)
	}
	if len(s.Links) > 0 {
		o.options = append(o.options, trace.WithLinks(s.Links...))
	}
	o.options = append(o.options, validOptions(s.Options)...)
	return o.options
}

var newRoot = trace.WithNewRoot()

// release drops the references to the options, which may be large: a batch has many links.
func (o *startOptions) release() { clear(o.options) }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import "go.opentelemetry.io/otel/trace"

// Relate sets the relation of a consumer span to the producer's: it becomes a child of the
// producer's span, or a root span that links to it. It also links to the span of the
// caller, so that neither relation is lost. Either span context may be invalid.
func (s *SpanStart) Relate(producer, caller trace.SpanContext, child bool) {
	child = child && producer.IsValid()
	s.Root = !child
	same := caller.TraceID() == producer.TraceID() && caller.SpanID() == producer.SpanID()
	// A link to the parent would add nothing, nor would a second link to the same span.
	if caller.IsValid() && !(child && same) {
		s.Links = append(s.Links, trace.Link{SpanContext: caller})
	}
	if producer.IsValid() && !child && !same {
		s.Links = append(s.Links, trace.Link{SpanContext: producer})
	}
}

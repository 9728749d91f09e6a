// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import "go.opentelemetry.io/otel/trace"

// Relate relates the span of a consumer to the span of the producer: as its child, or
// as a root span that links to it. The span of the caller becomes a link as well, so
// that both are found. Either span context may be invalid.
func (s *SpanStart) Relate(producer, caller trace.SpanContext, child bool) {
	child = child && producer.IsValid()
	s.Root = !child
	same := caller.TraceID() == producer.TraceID() && caller.SpanID() == producer.SpanID()
	// A link to the parent, and a second link to the same span, would add nothing.
	if caller.IsValid() && !(child && same) {
		s.Links = append(s.Links, trace.Link{SpanContext: caller})
	}
	if producer.IsValid() && !child && !same {
		s.Links = append(s.Links, trace.Link{SpanContext: producer})
	}
}

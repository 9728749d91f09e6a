// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestRelate(t *testing.T) {
	producer := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, Remote: true})
	caller := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{2}, SpanID: trace.SpanID{2}})
	both, none := producer.WithRemote(false), trace.SpanContext{}
	for _, row := range []struct {
		name, reason     string
		producer, caller trace.SpanContext
		child            bool
		root             bool
		links            []trace.SpanContext
	}{
		{"child", "the parent needs no link", producer, none, true, false, nil},
		{"child with a caller", "the caller's trace is found from here", producer, caller, true, false, []trace.SpanContext{caller}},
		{"child of the caller", "a link to the parent would add nothing", producer, both, true, false, nil},
		{"link", "a trace of its own", producer, none, false, true, []trace.SpanContext{producer}},
		{"link with a caller", "both are found from here", producer, caller, false, true, []trace.SpanContext{caller, producer}},
		{"link to the caller", "one link is enough", producer, both, false, true, []trace.SpanContext{both}},
		{"no producer", "the caller must not become the parent", none, caller, true, true, []trace.SpanContext{caller}},
		{"neither", "a root span without links", none, none, true, true, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			var s SpanStart
			s.Relate(row.producer, row.caller, row.child)
			var links []trace.SpanContext
			for _, link := range s.Links {
				links = append(links, link.SpanContext)
			}
			if s.Root != row.root || !slices.EqualFunc(links, row.links, trace.SpanContext.Equal) {
				t.Errorf("root %v with links to %v, want root %v with links to %v: %s", s.Root, links, row.root, row.links, row.reason)
			}
		})
	}
}

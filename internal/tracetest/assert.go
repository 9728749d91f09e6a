// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// AssertParent asserts that child is in the trace of parent and has it as its parent.
func AssertParent(t *testing.T, child, parent sdktrace.ReadOnlySpan) {
	t.Helper()
	AssertChildOf(t, child, parent.SpanContext())
}

// AssertChildOf is AssertParent for a parent that has not ended.
func AssertChildOf(t *testing.T, child sdktrace.ReadOnlySpan, parent trace.SpanContext) {
	t.Helper()
	if got, want := child.Parent().SpanID(), parent.SpanID(); got != want {
		t.Errorf("parent of %q is %v, want %v", child.Name(), got, want)
	}
	if got, want := child.SpanContext().TraceID(), parent.TraceID(); got != want {
		t.Errorf("trace of %q is %v, want %v as its parent has", child.Name(), got, want)
	}
}

// AssertRoot asserts that s has no parent.
func AssertRoot(t *testing.T, s sdktrace.ReadOnlySpan) {
	t.Helper()
	if s.Parent().IsValid() {
		t.Errorf("%q has the parent %v, want a root", s.Name(), s.Parent().SpanID())
	}
}

// AssertLinks asserts that s links to the given spans, in their order, and to no others.
func AssertLinks(t *testing.T, s sdktrace.ReadOnlySpan, to ...trace.SpanContext) {
	t.Helper()
	links := s.Links()
	if len(links) != len(to) {
		t.Errorf("%q has %d links, want %d", s.Name(), len(links), len(to))
		return
	}
	for i, want := range to {
		if got := links[i].SpanContext; got.TraceID() != want.TraceID() || got.SpanID() != want.SpanID() {
			t.Errorf("link %d of %q is to %v, want %v", i, s.Name(), got.SpanID(), want.SpanID())
		}
	}
}

// AssertName asserts the name of s.
func AssertName(t *testing.T, s sdktrace.ReadOnlySpan, name string) {
	t.Helper()
	if s.Name() != name {
		t.Errorf("span is called %q, want %q", s.Name(), name)
	}
}

// AssertKind asserts the kind of s.
func AssertKind(t *testing.T, s sdktrace.ReadOnlySpan, kind trace.SpanKind) {
	t.Helper()
	if s.SpanKind() != kind {
		t.Errorf("kind of %q is %v, want %v", s.Name(), s.SpanKind(), kind)
	}
}

// AssertAttributes asserts that s has the given attributes, and no others.
func AssertAttributes(t *testing.T, s sdktrace.ReadOnlySpan, want ...attribute.KeyValue) {
	t.Helper()
	AssertAttributeSet(t, s.Name(), s.Attributes(), want)
}

// AssertAttributeSet is AssertAttributes for attributes that are not of a span: what
// says in a failure message whose they are.
func AssertAttributeSet(t *testing.T, what string, got, want []attribute.KeyValue) {
	t.Helper()
	g, w := attribute.NewSet(got...), attribute.NewSet(want...)
	if !g.Equals(&w) {
		t.Errorf("attributes of %q are\n%v, want\n%v", what, g.Encoded(attribute.DefaultEncoder()), w.Encoded(attribute.DefaultEncoder()))
	}
}

// AssertSucceeded asserts that s has neither an error status nor an error.type.
func AssertSucceeded(t *testing.T, s sdktrace.ReadOnlySpan) {
	t.Helper()
	if s.Status().Code != codes.Unset {
		t.Errorf("status of %q is %v %q, want none", s.Name(), s.Status().Code, s.Status().Description)
	}
	if kind, ok := AttributeOf(s, "error.type"); ok {
		t.Errorf("error.type of %q is %v, want none", s.Name(), kind.AsString())
	}
}

// AssertFailed asserts that s has an error status and the given error.type, and no
// events.
func AssertFailed(t *testing.T, s sdktrace.ReadOnlySpan, errorType string) {
	t.Helper()
	if s.Status().Code != codes.Error {
		t.Errorf("status of %q is %v, want %v", s.Name(), s.Status().Code, codes.Error)
	}
	if got, _ := AttributeOf(s, "error.type"); got.AsString() != errorType {
		t.Errorf("error.type of %q is %q, want %q", s.Name(), got.AsString(), errorType)
	}
	if n := len(s.Events()); n != 0 {
		t.Errorf("%q has %d events, want none", s.Name(), n)
	}
}

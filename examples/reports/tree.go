// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"slices"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// line is one line of a tree: a span.
type line struct {
	span  sdktrace.ReadOnlySpan
	twigs string // the branches in front of its name
	stem  string // the branches below it
	stray bool   // its parent is not among the spans
}

// The branches in front of a name. The stray one stands for a parent in another process.
const (
	middleTwig = "├ "
	lastTwig   = "└ "
	strayTwig  = "↳ "
)

// lines returns all spans in the order of a tree: children below their parents, and in the
// order of their start.
func lines(spans []sdktrace.ReadOnlySpan) []line {
	here := make(map[trace.SpanID]bool, len(spans))
	for _, s := range spans {
		here[s.SpanContext().SpanID()] = true
	}
	children := make(map[trace.SpanID][]sdktrace.ReadOnlySpan)
	var tops []sdktrace.ReadOnlySpan
	for _, s := range slices.SortedFunc(slices.Values(spans), earlier) {
		if parent := s.Parent().SpanID(); here[parent] {
			children[parent] = append(children[parent], s)
		} else {
			tops = append(tops, s)
		}
	}

	var all []line
	var add func(s sdktrace.ReadOnlySpan, above string, twig, stem string)
	add = func(s sdktrace.ReadOnlySpan, above, twig, stem string) {
		below := children[s.SpanContext().SpanID()]
		l := line{span: s, twigs: above + twig, stem: above + stem, stray: twig == strayTwig}
		if len(below) > 0 {
			l.stem += "│ "
		} else {
			l.stem += "  "
		}
		all = append(all, l)
		for i, child := range below {
			if i < len(below)-1 {
				add(child, above+stem, middleTwig, "│ ")
			} else {
				add(child, above+stem, lastTwig, "  ")
			}
		}
	}
	for _, s := range tops {
		if s.Parent().IsValid() {
			add(s, "", strayTwig, "  ")
		} else {
			add(s, "", "", "")
		}
	}
	return all
}

// earlier orders spans by their start. Since clocks are coarse, two spans may have the same
// start. The longer one is then first.
func earlier(a, b sdktrace.ReadOnlySpan) int {
	if n := a.StartTime().Compare(b.StartTime()); n != 0 {
		return n
	}
	if n := b.EndTime().Compare(a.EndTime()); n != 0 {
		return n
	}
	x, y := a.SpanContext().SpanID(), b.SpanContext().SpanID()
	return bytes.Compare(x[:], y[:])
}

// extent returns when a trace began and how long it lasted. The clocks of processes may
// differ, so the first span need not be the root.
func extent(spans []sdktrace.ReadOnlySpan) (begin time.Time, length time.Duration) {
	end := spans[0].EndTime()
	begin = spans[0].StartTime()
	for _, s := range spans {
		if s.StartTime().Before(begin) {
			begin = s.StartTime()
		}
		if s.EndTime().After(end) {
			end = s.EndTime()
		}
	}
	return begin, end.Sub(begin)
}

func duration(s sdktrace.ReadOnlySpan) time.Duration { return s.EndTime().Sub(s.StartTime()) }

func serviceOf(s sdktrace.ReadOnlySpan) string {
	name, _ := s.Resource().Set().Value(semconv.ServiceNameKey)
	return name.AsString()
}

// crossedRedis reports whether the span is that of a message that was received from Redis.
func crossedRedis(s sdktrace.ReadOnlySpan) bool {
	return s.SpanKind() == trace.SpanKindConsumer && slices.Contains(s.Attributes(), semconv.MessagingSystemKey.String("redis"))
}

func failed(s sdktrace.ReadOnlySpan) bool { return s.Status().Code == codes.Error }

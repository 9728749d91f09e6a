// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// The names and payloads of Redis are bytes, and the strings of OpenTelemetry are UTF-8. For
// one invalid string, an exporter refuses the whole batch, with the spans of other libraries,
// or all metrics. Therefore every string passes one of these functions. A string that is
// valid costs the check, and no allocation.

// valid returns s with U+FFFD in place of each run of invalid bytes.
func valid(s string) string {
	if utf8.ValidString(s) { // faster than the same check of ToValidUTF8
		return s
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// validAttributes returns attributes with valid keys and values. If changed is false, these are
// the given ones. It does not change the given slice.
func validAttributes(attributes []attribute.KeyValue) (_ []attribute.KeyValue, changed bool) {
	given := attributes
	for i, a := range given {
		key := attribute.Key(valid(string(a.Key)))
		value, other := validValue(a.Value)
		if key == a.Key && !other {
			continue
		}
		if !changed {
			attributes, changed = slices.Clone(given), true
		}
		attributes[i] = attribute.KeyValue{Key: key, Value: value}
	}
	return attributes, changed
}

func validValue(v attribute.Value) (_ attribute.Value, changed bool) {
	switch v.Type() {
	case attribute.STRING:
		if s := v.AsString(); !utf8.ValidString(s) {
			return attribute.StringValue(valid(s)), true
		}
	case attribute.STRINGSLICE:
		list := v.AsStringSlice() // a copy
		for i, s := range list {
			changed = changed || !utf8.ValidString(s)
			list[i] = valid(s)
		}
		if changed {
			return attribute.StringSliceValue(list), true
		}
	case attribute.SLICE:
		list := v.AsSlice() // a copy
		for i := range list {
			var other bool
			list[i], other = validValue(list[i])
			changed = changed || other
		}
		if changed {
			return attribute.SliceValue(list...), true
		}
	case attribute.MAP:
		if members, changed := validAttributes(v.AsMap()); changed {
			return attribute.MapValue(members...), true
		}
	}
	return v, false
}

// validOptions returns the options of a caller with valid attributes and links. If nothing
// has to be changed, these are the given ones. Only the API can look into options, and it
// copies what they have; so it is not done for the options of this package.
func validOptions(options []trace.SpanStartOption) []trace.SpanStartOption {
	if len(options) == 0 {
		return nil
	}
	c := trace.NewSpanStartConfig(options...)
	attributes, changed := validAttributes(c.Attributes())
	links := slices.Clone(c.Links())
	for i := range links {
		var other bool
		links[i].Attributes, other = validAttributes(links[i].Attributes)
		changed = changed || other
	}
	if !changed {
		return options
	}
	options = []trace.SpanStartOption{trace.WithAttributes(attributes...), trace.WithLinks(links...)}
	if at := c.Timestamp(); !at.IsZero() {
		options = append(options, trace.WithTimestamp(at))
	}
	if c.NewRoot() {
		options = append(options, trace.WithNewRoot())
	}
	if kind := c.SpanKind(); kind != trace.SpanKindUnspecified {
		options = append(options, trace.WithSpanKind(kind))
	}
	return options
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"strconv"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// attributesOf returns the attributes that s records with.
func attributesOf(s *series) []attribute.KeyValue {
	set := metric.NewRecordConfig(s.record[:]).Attributes()
	return set.ToSlice()
}

func TestSeriesAreCached(t *testing.T) {
	c := newSeriesCache()
	one := NewServer("tcp", "localhost:6379")
	first := c.get("user.{id}", series{operation: Publish, server: one})
	assertAttributes(t, attributesOf(first),
		attribute.String("messaging.system", "redis"),
		attribute.String("messaging.operation.name", "publish"), attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.destination.template", "user.{id}"),
		attribute.String("server.address", "localhost"), attribute.Int("server.port", 6379))

	if c.get("user.{id}", series{operation: Publish, server: NewServer("tcp", "localhost:6379")}) != first {
		t.Error("another value for the same server gets another series")
	}
	for name, other := range map[string]*series{
		"template":   c.get("", series{operation: Publish, server: one}),
		"operation":  c.get("user.{id}", series{operation: SPublish, server: one}),
		"server":     c.get("user.{id}", series{operation: Publish, server: NewServer("tcp", "localhost:6380")}),
		"no server":  c.get("user.{id}", series{operation: Publish}),
		"error type": c.get("user.{id}", series{operation: Publish, server: one, errorType: "timeout"}),
	} {
		if other == first {
			t.Errorf("another %s gets the same series", name)
		}
	}
}

// What is not cached is built each time, with the same attributes.
func TestSeriesCacheIsBounded(t *testing.T) {
	t.Run("templates", func(t *testing.T) {
		c := newSeriesCache()
		for i := range maxTemplates + 1 {
			template := strconv.Itoa(i)
			first := c.get(template, series{operation: Publish})
			second := c.get(template, series{operation: Publish})
			if cached := first == second; cached != (i < maxTemplates) {
				t.Fatalf("template %d is cached: %v", i, cached)
			}
			assertAttributes(t, attributesOf(second), attributesOf(first)...)
		}
		first := c.get("", series{operation: Publish})
		if c.get("", series{operation: Publish}) != first {
			t.Error("the series without a template is not cached when there are many templates")
		}
	})
	t.Run("servers", func(t *testing.T) {
		c := newSeriesCache()
		for i := range maxPerTemplate + 1 {
			server := NewServer("tcp", "localhost:"+strconv.Itoa(i))
			first := c.get("", series{operation: Publish, server: server})
			second := c.get("", series{operation: Publish, server: server})
			if cached := first == second; cached != (i < maxPerTemplate) {
				t.Fatalf("server %d is cached: %v", i, cached)
			}
			assertAttributes(t, attributesOf(second), attributesOf(first)...)
		}
	})
}

func TestErrorTypesAreBounded(t *testing.T) {
	c := newSeriesCache()
	errorType := func(errorType string) string {
		set := attribute.NewSet(attributesOf(c.get("", series{errorType: errorType}))...)
		return valueOf(set, "error.type")
	}
	different := make(map[string]bool)
	for i := range 10 * maxErrorTypes {
		different[errorType("E"+strconv.Itoa(i))] = true
	}
	if len(different) > maxErrorTypes+1 || !different["E0"] || !different["_OTHER"] {
		t.Errorf("%d values of error.type, want %d and _OTHER at most: %v", len(different), maxErrorTypes, different)
	}
	for _, ours := range []string{"panic", "timeout", "canceled", "connection", "MOVED", ""} {
		if got := errorType(ours); got != ours {
			t.Errorf("%q becomes %q when there are many others", ours, got)
		}
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func TestValid(t *testing.T) {
	for _, row := range []struct{ name, reason, given, want string }{
		{"empty", "there is nothing to change", "", ""},
		{"text", "what is valid stays", "user.7 ü 世 🎉", "user.7 ü 世 🎉"},
		{"NUL", "it is a character like others", "a\x00b", "a\x00b"},
		{"U+FFFD", "it may have come from another program", "a\uFFFDb", "a\uFFFDb"},
		{"byte", "that no character has", "a\xffb", "a\uFFFDb"},
		{"run of bytes", "one sign is enough", "a\xff\xfe\xfdb", "a\uFFFDb"},
		{"two runs", "the text between them stays", "\xffa\xff", "\uFFFDa\uFFFD"},
		{"cut character", "such as that of a name that was cut", "a\xe4\xb8", "a\uFFFD"},
		{"surrogate", "CESU-8 and Java's modified UTF-8 have them", "a\xed\xa0\x80b", "a\uFFFDb"},
		{"overlong", "modified UTF-8 writes NUL so", "a\xc0\x80b", "a\uFFFDb"},
		{"binary", "a payload may be compressed", "\x1f\x8b\x08", "\x1f\uFFFD\x08"},
	} {
		if got := valid(row.given); got != row.want {
			t.Errorf("%s: %q, want %q: %s", row.name, got, row.want, row.reason)
		}
	}
}

// Each string of a span and of a series is made valid, and stays one string.
func TestStringsOfSpansAreValid(t *testing.T) {
	r := record(t)
	r.Attributes = []attribute.KeyValue{attribute.String("dep\xffloyment", "bl\xffue")}
	_, span := r.Start(t.Context(), &SpanStart{
		Operation: Process, Destination: "user.\xff", Template: "u\xff.*", Server: NewServer("unix", "/tmp/\xff.sock"),
	})
	span.Returned(named{"\xff"})
	span.End()
	got := r.span(t)
	if want := "process u\uFFFD.*"; got.Name() != want {
		t.Errorf("the name is %q, want %q", got.Name(), want)
	}
	if want := (sdktrace.Status{Code: codes.Error, Description: "no report in \uFFFD"}); got.Status() != want {
		t.Errorf("the status is %+v, want %+v", got.Status(), want)
	}
	assertAttributes(t, got.Attributes(), attribute.String("messaging.system", "redis"),
		attribute.String("messaging.operation.name", "process"), attribute.String("messaging.operation.type", "process"),
		attribute.String("messaging.destination.name", "user.\uFFFD"), attribute.String("messaging.destination.template", "u\uFFFD.*"),
		attribute.String("server.address", "/tmp/\uFFFD.sock"), attribute.String("dep\uFFFDloyment", "bl\uFFFDue"),
		attribute.String("error.type", "E\uFFFD"))
}

func TestStringsWithoutTemplateAreValid(t *testing.T) {
	r := record(t)
	_, span := r.Start(t.Context(), &SpanStart{Operation: Publish, Destination: "user.\xff"})
	span.Panicked("no report in \xff")
	span.End()
	if got, want := r.span(t).Name(), "publish user.\uFFFD"; got != want {
		t.Errorf("the name is %q, want %q", got, want)
	}
	if got, want := r.span(t).Status().Description, "no report in \uFFFD"; got != want {
		t.Errorf("the status is %q, want %q", got, want)
	}
}

// Templates and errors that differ only in their bytes have one series.
func TestStringsOfSeriesAreValid(t *testing.T) {
	r := record(t)
	for _, b := range []string{"\xff", "\xfe"} {
		_, span := r.Start(t.Context(), &SpanStart{Operation: Process, Template: "u" + b, Server: NewServer("tcp", "h"+b+":1")})
		span.Consumed()
		span.Returned(named{b})
		span.End()
		r.CountReconnect(t.Context(), NewServer("tcp", "h"+b+":1"))
	}
	for _, row := range []struct {
		instrument string
		key        attribute.Key
		want       string
	}{
		{processDuration, "messaging.destination.template", "u\uFFFD"},
		{processDuration, "server.address", "h\uFFFD"},
		{processDuration, "error.type", "E\uFFFD"},
		{consumedMessages, "messaging.destination.template", "u\uFFFD"},
		{"tracedpubsub.subscription.reconnects", "server.address", "h\uFFFD"},
	} {
		if got := r.values(t, row.instrument, row.key); len(got) != 1 || got[row.want] != 2 {
			t.Errorf("%s has %q %v, want %q twice", row.instrument, row.key, got, row.want)
		}
	}
}

// named is an error whose text and error.type end with b.
type named struct{ b string }

func (e named) Error() string     { return "no report in " + e.b }
func (e named) ErrorType() string { return "E" + e.b }

func TestValidAttributes(t *testing.T) {
	for _, row := range []struct {
		name, reason string
		given, want  attribute.KeyValue
	}{
		{"key", "of any type of value", attribute.Int("a\xff", 1), attribute.Int("a\uFFFD", 1)},
		{"string", "the usual one", attribute.String("a", "b\xff"), attribute.String("a", "b\uFFFD")},
		{"strings", "one is not valid", attribute.StringSlice("a", []string{"b", "c\xff"}), attribute.StringSlice("a", []string{"b", "c\uFFFD"})},
		{"values", "of which one is a list", attribute.Slice("a", attribute.IntValue(1), attribute.SliceValue(attribute.StringValue("b\xff"))),
			attribute.Slice("a", attribute.IntValue(1), attribute.SliceValue(attribute.StringValue("b\uFFFD")))},
		{"map", "with a key and a value", attribute.Map("a", attribute.String("b\xff", "c\xff")),
			attribute.Map("a", attribute.String("b\uFFFD", "c\uFFFD"))},
		{"bytes", "they are no text", attribute.ByteSlice("a", []byte("\xff")), attribute.ByteSlice("a", []byte("\xff"))},
	} {
		t.Run(row.name, func(t *testing.T) {
			first := attribute.String("first", "valid")
			given := []attribute.KeyValue{first, row.given}
			got, changed := validAttributes(given)
			if want := []attribute.KeyValue{first, row.want}; !slices.Equal(got, want) {
				t.Errorf("%v, want %v: %s", got, want, row.reason)
			}
			if changed != (row.given != row.want) {
				t.Errorf("changed is %v", changed)
			}
			if !slices.Equal(given, []attribute.KeyValue{first, row.given}) {
				t.Errorf("the given slice has become %v", given)
			}
			if again, changed := validAttributes(got); changed || &again[0] != &got[0] {
				t.Error("valid attributes are copied")
			}
		})
	}
}

// The options that a caller gives to a span are all in force if some of them are changed.
func TestOptionsOfCallersAreValid(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	to := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}})
	bad, good := attribute.String("a", "b\xff"), attribute.String("a", "b\uFFFD")
	for _, row := range []struct {
		name, reason string
		options      []trace.SpanStartOption
		link         attribute.KeyValue
	}{
		{"attributes", "taken from a payload", []trace.SpanStartOption{
			trace.WithAttributes(bad), trace.WithLinks(trace.Link{SpanContext: to, Attributes: []attribute.KeyValue{good}})}, good},
		{"links", "their attributes are strings, too", []trace.SpanStartOption{
			trace.WithAttributes(good), trace.WithLinks(trace.Link{SpanContext: to, Attributes: []attribute.KeyValue{bad}})}, bad},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := record(t)
			ctx, parent := r.TracerProvider.Tracer("caller").Start(t.Context(), "caller")
			options := append(row.options, trace.WithTimestamp(at), trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer))
			_, span := r.Start(ctx, &SpanStart{Operation: Process, Destination: "reports", Options: options})
			span.Returned(nil)
			span.End()
			got := r.span(t)
			if set := attribute.NewSet(got.Attributes()...); valueOf(set, "a") != "b\uFFFD" {
				t.Errorf("the attributes are %v: %s", got.Attributes(), row.reason)
			}
			if links := got.Links(); len(links) != 1 || !links[0].SpanContext.Equal(to) || !slices.Equal(links[0].Attributes, []attribute.KeyValue{good}) {
				t.Errorf("the links are %v: %s", links, row.reason)
			}
			if !got.StartTime().Equal(at) || got.SpanKind() != trace.SpanKindServer || got.Parent().IsValid() {
				t.Errorf("started at %v, kind %v, parent %v", got.StartTime(), got.SpanKind(), got.Parent())
			}
			parent.End()
			given := trace.NewSpanStartConfig(options...)
			if links := given.Links(); links[0].Attributes[0] != row.link {
				t.Errorf("the link of the caller has become %v", links)
			}
		})
	}
}

// Valid strings, which nearly all are, cost nothing.
func TestAllocationsOfValidStrings(t *testing.T) {
	large := strings.Repeat("世", 1<<14)
	attributes := []attribute.KeyValue{attribute.String("a", "b"), attribute.Int("c", 1)}
	for name, f := range map[string]func(){
		"string":     func() { valid("user.7") },
		"large":      func() { valid(large) },
		"attributes": func() { validAttributes(attributes) },
		"no options": func() { validOptions(nil) },
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

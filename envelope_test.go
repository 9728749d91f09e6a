// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// producerContext returns a context with the span context of ForeignParent and with
// baggage.
func producerContext(t *testing.T) context.Context {
	t.Helper()
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": tracetest.ForeignParent})
	return tracetest.WithBaggage(t, ctx, "tenant=acme")
}

// Encode returns an envelope with the context and the payload.
func TestEncodeCarriesContext(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		ctx          context.Context
		payload      any
		opts         []tracedpubsub.Option
		want         string
	}{
		{"defaults", "W3C without configuration", producerContext(t), "hello", nil,
			`{"tracedpubsub":1,` + tracetest.ForeignTraceparent + `,"baggage":"tenant=acme","payload":"hello"}`},
		{"no context", "an envelope without fields", context.Background(), "hello", nil,
			`{"tracedpubsub":1,"payload":"hello"}`},
		{"bytes", "payloads may be bytes", producerContext(t), []byte{0xff}, nil,
			`{"tracedpubsub":1,` + tracetest.ForeignTraceparent + `,"baggage":"tenant=acme","payload_base64":"/w=="}`},
		{"document", "a document has a size", context.Background(), []byte(`{"id":7}`), nil,
			`{"tracedpubsub":1,"size":8,"payload":{"id":7}}`},
		{"number", "the text that go-redis sends", context.Background(), 42, nil,
			`{"tracedpubsub":1,"payload":"42"}`},
		{"propagator", "the option decides which fields there are", producerContext(t), "x",
			[]tracedpubsub.Option{tracedpubsub.WithPropagators(propagation.Baggage{})},
			`{"tracedpubsub":1,"baggage":"tenant=acme","payload":"x"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tracedpubsub.Encode(tt.ctx, tt.payload, tt.opts...)
			if err != nil || string(got) != tt.want {
				t.Errorf("%s:\n got %s, %v\nwant %s", tt.reason, got, err, tt.want)
			}
		})
	}
}

type namedString string

// A payload that go-redis refuses is an error of Encode.
func TestEncodeRefusesPayload(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		payload      any
		is           error
		text         string
	}{
		{"struct", "go-redis does not send it either", struct{ A int }{1}, nil, "struct { A int }"},
		{"named string", "go-redis goes by the type, not by its kind", namedString("x"), nil, "tracedpubsub_test.namedString"},
		{"marshaler", "its error is the cause", &tracetest.FailingPayload{Err: tracetest.ErrTest}, tracetest.ErrTest, tracetest.ErrTest.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tracedpubsub.Encode(t.Context(), tt.payload)
			if err == nil || b != nil {
				t.Fatalf("%s: got %q, %v", tt.reason, b, err)
			}
			if text := err.Error(); !strings.HasPrefix(text, "tracedpubsub: ") || !strings.Contains(text, tt.text) {
				t.Errorf("error is %q, want %q in it", text, tt.text)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q is not %q", err, tt.is)
			}
		})
	}
}

// A field that an envelope cannot have is left out and reported, and so is a carrier that is
// too large.
func TestEncodeReportsLeftOutFields(t *testing.T) {
	var errs tracetest.ErrorLog
	inject := injecting{"payload": "x", "b3": "1", "bad": "\xff", "empty": ""}
	got, err := tracedpubsub.Encode(t.Context(), "hi", tracedpubsub.WithPropagators(inject), errs.Option())
	if want := `{"tracedpubsub":1,"b3":"1","payload":"hi"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if reports := errs.All(); len(reports) != 1 || !strings.Contains(reports[0].Error(), `"payload"`) || !strings.Contains(reports[0].Error(), `"bad"`) ||
		strings.Contains(reports[0].Error(), "empty") {
		t.Errorf("reported %q, want one report of payload and bad", reports)
	}

	errs = tracetest.ErrorLog{}
	largest := injecting{"b3": strings.Repeat("v", 16382)}
	got, _ = tracedpubsub.Encode(t.Context(), "hi", tracedpubsub.WithPropagators(largest), errs.Option())
	if e, err := tracedpubsub.Decode(string(got), tracedpubsub.WithPropagators(largest)); err != nil || e.Carrier.Get("b3") != largest["b3"] {
		t.Errorf("16,384 bytes: decoded %.100q, %v", fieldsIn(&e.Carrier), err)
	}
	errs.AssertNone(t)

	large := injecting{"b3": strings.Repeat("v", 16383)}
	got, err = tracedpubsub.Encode(t.Context(), "hi", tracedpubsub.WithPropagators(large), errs.Option())
	if want := `{"tracedpubsub":1,"payload":"hi"}`; err != nil || string(got) != want {
		t.Errorf("too large: got %.100s, %v, want %s", got, err, want)
	}
	errs.AssertOne(t, tracedpubsub.ErrCarrierTooLarge)
}

// An Envelope that Decode did not return reports to the global error handler.
func TestLiteralReportsToGlobalHandler(t *testing.T) {
	var errs tracetest.ErrorLog
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(&errs)
	defer otel.SetErrorHandler(before)

	e := tracedpubsub.Envelope{Carrier: carrierOf(map[string]string{"size": "1"}), Payload: "hi"}
	if got, want := string(e.AppendTo([]byte("before "))), `before {"tracedpubsub":1,"payload":"hi"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if reports := errs.All(); len(reports) != 1 {
		t.Errorf("reported %v, want one report", reports)
	}
}

// Extract returns the context of the producer.
func TestEnvelopeExtract(t *testing.T) {
	message, err := tracedpubsub.Encode(producerContext(t), "hi")
	if err != nil {
		t.Fatal(err)
	}
	ambient := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	for _, tt := range []struct {
		name, reason, message string
		opts                  []tracedpubsub.Option
		traceID, tenant       string
	}{
		{"producer", "its span context and baggage", string(message), nil, "0af7651916cd43dd8448eb211c80319c", "acme"},
		{"not trusted", "its span context alone", string(message), []tracedpubsub.Option{tracedpubsub.WithPublicEndpoint()}, "0af7651916cd43dd8448eb211c80319c", ""},
		{"no producer", "the context keeps its span", "hi", nil, "01000000000000000000000000000000", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tracedpubsub.Decode(tt.message, tt.opts...)
			if err != nil {
				t.Fatal(err)
			}
			ctx := e.Extract(ambient)
			if got := trace.SpanContextFromContext(ctx).TraceID().String(); got != tt.traceID {
				t.Errorf("%s: trace %s, want %s", tt.reason, got, tt.traceID)
			}
			if got := baggage.FromContext(ctx).Member("tenant").Value(); got != tt.tenant {
				t.Errorf("%s: tenant %q, want %q", tt.reason, got, tt.tenant)
			}
		})
	}
}

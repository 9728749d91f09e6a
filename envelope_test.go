// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
)

const exampleParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// producerContext returns a context with the span context of exampleParent and with
// baggage.
func producerContext(t *testing.T) context.Context {
	t.Helper()
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": exampleParent})
	member, err := baggage.NewMember("tenant", "acme")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	return baggage.ContextWithBaggage(ctx, bag)
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
			`{"tracedpubsub":1,"traceparent":"` + exampleParent + `","baggage":"tenant=acme","payload":"hello"}`},
		{"no context", "an envelope without fields", context.Background(), "hello", nil,
			`{"tracedpubsub":1,"payload":"hello"}`},
		{"bytes", "payloads may be bytes", producerContext(t), []byte{0xff}, nil,
			`{"tracedpubsub":1,"traceparent":"` + exampleParent + `","baggage":"tenant=acme","payload_base64":"/w=="}`},
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

type refusing struct{ err error }

func (r refusing) MarshalBinary() ([]byte, error) { return nil, r.err }

// A payload that go-redis refuses is an error of Encode.
func TestEncodeRefusesPayload(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name, reason string
		payload      any
		is           error
		says         string
	}{
		{"struct", "go-redis does not send it either", struct{ A int }{1}, nil, "struct { A int }"},
		{"named string", "go-redis goes by the type, not by its kind", refusingName("x"), nil, "tracedpubsub_test.refusingName"},
		{"marshaler", "its error is the cause", refusing{refused}, refused, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tracedpubsub.Encode(t.Context(), tt.payload)
			if err == nil || b != nil {
				t.Fatalf("%s: got %q, %v", tt.reason, b, err)
			}
			if text := err.Error(); !strings.HasPrefix(text, "tracedpubsub: ") || !strings.Contains(text, tt.says) {
				t.Errorf("error %q does not say %q", text, tt.says)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q is not %q", err, tt.is)
			}
		})
	}
}

type refusingName string

// A field that an envelope cannot have is left out and reported, and so is a carrier that is
// too large.
func TestEncodeReportsLeftOutFields(t *testing.T) {
	var reports reportLog
	inject := injecting{"payload": "x", "b3": "1", "bad": "\xff", "empty": ""}
	got, err := tracedpubsub.Encode(t.Context(), "hi", tracedpubsub.WithPropagators(inject), reports.option())
	if want := `{"tracedpubsub":1,"b3":"1","payload":"hi"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if len(reports) != 1 || !strings.Contains(reports[0].Error(), `"payload"`) || !strings.Contains(reports[0].Error(), `"bad"`) ||
		strings.Contains(reports[0].Error(), "empty") {
		t.Errorf("reported %q, want one report of payload and bad", reports)
	}

	reports = nil
	largest := injecting{"b3": strings.Repeat("v", 16382)}
	got, _ = tracedpubsub.Encode(t.Context(), "hi", tracedpubsub.WithPropagators(largest), reports.option())
	if e, err := tracedpubsub.Decode(string(got), tracedpubsub.WithPropagators(largest)); err != nil || e.Carrier.Get("b3") != largest["b3"] || len(reports) != 0 {
		t.Errorf("16,384 bytes: decoded %.100q, %v; reported %v", fieldsIn(&e.Carrier), err, reports)
	}
	large := injecting{"b3": strings.Repeat("v", 16383)}
	got, err = tracedpubsub.Encode(t.Context(), "hi", tracedpubsub.WithPropagators(large), reports.option())
	if want := `{"tracedpubsub":1,"payload":"hi"}`; err != nil || string(got) != want {
		t.Errorf("too large: got %.100s, %v, want %s", got, err, want)
	}
	if len(reports) != 1 || !errors.Is(reports[0], tracedpubsub.ErrCarrierTooLarge) {
		t.Errorf("too large: reported %v", reports)
	}
}

// injecting is a propagator that injects what it holds.
type injecting map[string]string

func (p injecting) Fields() []string { return slices.Collect(maps.Keys(p)) }

func (p injecting) Inject(_ context.Context, c propagation.TextMapCarrier) {
	for name, value := range p {
		c.Set(name, value)
	}
}

func (p injecting) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context {
	return ctx
}

// An Envelope that Decode did not return reports to the global error handler.
func TestLiteralReportsToGlobalHandler(t *testing.T) {
	var reports reportLog
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { reports = append(reports, err) }))
	defer otel.SetErrorHandler(before)

	e := tracedpubsub.Envelope{Carrier: carrierOf(map[string]string{"size": "1"}), Payload: "hi"}
	if got, want := string(e.AppendTo([]byte("before "))), `before {"tracedpubsub":1,"payload":"hi"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(reports) != 1 {
		t.Errorf("reported %v, want one report", reports)
	}
}

// TestDecodeRules has messages that the vectors leave out, and large ones.
func TestDecodeRules(t *testing.T) {
	const tp = `"traceparent":"` + exampleParent + `"`
	parent := map[string]string{"traceparent": exampleParent}
	large := strings.Repeat("v", 16385)
	const whole = "the whole message" // as a payload in the table
	for _, tt := range []struct {
		name, reason, message, payload string
		carrier                        map[string]string
		err                            error
	}{
		{"size with leading zero", "not R0: a writer does not write it", `{"tracedpubsub":1,"size":07,"payload":{"a":!}}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"size of 19 digits", "it must fit into a number of any reader", `{"tracedpubsub":1,"size":0000000000000000007,"payload":{"a":!}}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"size zero", "a document is not empty", `{"tracedpubsub":1,"size":0,"payload":{}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"size one", "the last bracket may not be the first", `{"tracedpubsub":1,"size":1,"payload":{}`, `{`, nil, nil},
		{"size too large by one", "R1 finds the end", `{"tracedpubsub":1,"size":8,"payload":{"a":1}}`, `{"a":1}`, nil, nil},
		{"size up to another bracket", "an object ends with a brace", `{"tracedpubsub":1,"size":2,"payload":{}]`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"ts of 18 digits", "as many as R0 reads", `{"tracedpubsub":1,"ts":999999999999999999,"size":7,"payload":{"a":!}}`, `{"a":!}`, nil, nil},
		{"ts of 19 digits", "one too many for R0", `{"tracedpubsub":1,"ts":1999999999999999999,"size":7,"payload":{"a":!}}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"src before ts", "not R0: the order is fixed", `{"tracedpubsub":1,"src":"a","ts":1,"size":7,"payload":{"a":!}}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"string named like a member in front", "not R0: names are compared unescaped", `{"tracedpubsub":1,"s\u0069ze":"1","size":7,"payload":{"a":!}}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"bad UTF-8 in a document by R0", "the bytes are not read", "{\"tracedpubsub\":1,\"size\":7,\"payload\":{\"a\xff:1}}", "{\"a\xff:1}", nil, nil},
		{"bad UTF-8 in front", "R0 has strings there, and strings are UTF-8", "{\"tracedpubsub\":1,\"x\":\"\xff\",\"size\":7,\"payload\":{\"a\":1}}", whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"lone surrogate of a stranger in front", "only carrier members must be well-formed", `{"tracedpubsub":1,"x":"\ud800","size":7,"payload":{"a":!}}`, `{"a":!}`, nil, nil},
		{"too large by R0", "the limit holds there too", `{"tracedpubsub":1,"baggage":"` + large + `","size":7,"payload":{"a":!}}`, `{"a":!}`, nil, tracedpubsub.ErrCarrierTooLarge},
		{"too large by R4", "and for foreign messages", `{"baggage":"` + large + `"}`, whole, nil, tracedpubsub.ErrCarrierTooLarge},
		{"too large by R3", "the version takes precedence", `{"tracedpubsub":2,"baggage":"` + large + `"}`, whole, nil, tracedpubsub.ErrUnsupportedVersion},
		{"escapes count unescaped", "the limit is for the values that the propagator gets", `{"tracedpubsub":1,"baggage":"` + strings.Repeat(`\u0076`, 16377) + `","payload":""}`, "", map[string]string{"baggage": large[:16377]}, nil},
		{"field once as a string", "only a string is a carrier member", `{"tracedpubsub":1,` + tp + `,"traceparent":5,"payload":""}`, "", parent, nil},
		{"payload once as a string", "a payload member may have any value", `{"tracedpubsub":1,"payload":"a","payload":5}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"marker once as a number", "a marker is counted whatever its value", `{"tracedpubsub":1,"payload":"a","tracedpubsub":"1"}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"escaped marker", "names are compared unescaped", `{"tracedp\u0075bsub":1,"payload":"a"}`, "a", nil, nil},
		{"escaped field", "likewise", `{"tracedpubsub":1,"\u0074raceparent":"` + exampleParent + `","payload":"a"}`, "a", parent, nil},
		{"field escaped and not", "the field is there twice", `{"tracedpubsub":1,"\u0074raceparent":"` + exampleParent + `",` + tp + `,"payload":"a"}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"version with exponent", "not a whole number as the rule has it", `{"tracedpubsub":2e1}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"negative version", "not above 1", `{"tracedpubsub":-2}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"version of 1,000 digits", "any length", `{"tracedpubsub":1` + strings.Repeat("0", 999) + `,` + tp + `}`, whole, parent, tracedpubsub.ErrUnsupportedVersion},
		{"two versions", "two readers could disagree", `{"tracedpubsub":2,"tracedpubsub":2,` + tp + `}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"two versions behind a space", "the same, but its first bytes are not those of an envelope", `{ "tracedpubsub":2,"tracedpubsub":2,` + tp + `}`, whole, parent, nil},
		{"repeated field of a later version", "left out", `{"tracedpubsub":2,` + tp + `,"baggage":"a","baggage":"b"}`, whole, parent, tracedpubsub.ErrUnsupportedVersion},
		{"lone surrogate in a foreign field", "left out", `{` + tp + `,"baggage":"\udc00"}`, whole, parent, nil},
		{"surrogates in the wrong order", "two lone ones", `{"tracedpubsub":1,"payload":"\udc00\ud800"}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"escaped line breaks in base64", "the decoder of Go would skip them", `{"tracedpubsub":1,"payload_base64":"YWJj\r\n\r\n"}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"form feed around", "it is not white space in JSON", "\f{\"tracedpubsub\":1,\"payload\":\"a\"}", whole, nil, nil},
		{"unfinished literal", "a value is read to its end", `{"tracedpubsub":1,"payload":nul}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"comma at the end", "RFC 8259", `{"tracedpubsub":1,"payload":"a",}`, whole, nil, tracedpubsub.ErrMalformedEnvelope},
		{"ten million levels", "the stack does not overflow", `{"tracedpubsub":1,"payload":` + strings.Repeat(`[`, 10_000_000), whole, nil, tracedpubsub.ErrMalformedEnvelope},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := tracedpubsub.Decode(tt.message)
			payload := tt.payload
			if payload == whole {
				payload = tt.message
			}
			if !errors.Is(err, tt.err) || e.Payload != payload || !maps.Equal(fieldsIn(&e.Carrier), tt.carrier) {
				t.Errorf("%s: got %.200q with %.200q, %v;\nwant %.200q with %.200q, %v",
					tt.reason, e.Payload, fieldsIn(&e.Carrier), err, payload, tt.carrier, tt.err)
			}
			if !tooDeepToTell(tt.message) {
				assertReadsLike(t, tt.message)
			}
		})
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

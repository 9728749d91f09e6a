// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

const (
	otherParent = `00-0123456789abcdef0123456789abcdef-0123456789abcdef-01`
	inHeaders   = `"headers":{"correlation_id":"b2f1",` + tracetest.ForeignTraceparent + `,"tracestate":"vendor=1","baggage":"tenant=acme"}`
)

// readAny reads the envelopes of the examples.
func readAny(message string) (tracedpubsub.Envelope, bool) {
	for _, read := range []func(string) (tracedpubsub.Envelope, bool){fastStream, nestJS, handMade} {
		if e, ok := read(message); ok {
			return e, true
		}
	}
	return tracedpubsub.Envelope{}, false
}

var foreignEnvelopes = []struct {
	name, reason string
	message      string
	payload      string // "": the message as it is
	asked        bool   // the function is called
	producer     string // the traceparent; "": none
	tenant       string // of the baggage
	err          error
}{
	{"FastStream", "the data is a string", `{"data":"{\"id\":7}",` + inHeaders + `}`, `{"id":7}`, true, tracetest.ForeignParent, "acme", nil},
	{"FastStream without tracing", "the payload is found all the same", `{"data":"hello","headers":{"correlation_id":"b2f1"}}`, "hello", true, "", "", nil},
	{"NestJS", "the data is any JSON, and keeps its bytes", `{"pattern":"orders","data":{ "id" : 7 },` + tracetest.ForeignTraceparent + `}`, `{ "id" : 7 }`, true, tracetest.ForeignParent, "", nil},
	{"NestJS request", "an id asks for a reply, and changes nothing here", `{"pattern":{"cmd":"sum"},"data":[1,2],"id":"5"}`, `[1,2]`, true, "", "", nil},
	{"hand-made", "the payload is the message with the member", `{"id":7,"_traceparent":"` + tracetest.ForeignParent + `"}`, "", true, tracetest.ForeignParent, "", nil},

	{"two carriers", "that of the function counts, and not the one at the top level", `{"data":"hello",` + inHeaders + `,"traceparent":"` + otherParent + `"}`, "hello", true, tracetest.ForeignParent, "acme", nil},
	{"no carrier of the function", "it counts as well", `{"data":"hello","headers":{},"traceparent":"` + otherParent + `"}`, "hello", true, "", "", nil},
	{"large carrier beside it", "it does not count either", `{"data":"hello",` + inHeaders + `,"baggage":"` + strings.Repeat("x", 16_384) + `"}`, "hello", true, tracetest.ForeignParent, "acme", nil},
	{"large carrier of the function", "the limit is that of all carriers", `{"data":"hello","headers":{` + tracetest.ForeignTraceparent + `,"baggage":"` + strings.Repeat("x", 16_384) + `"}}`, "hello", true, "", "", tracedpubsub.ErrCarrierTooLarge},

	{"text", "the function does not know it", "hello", "", true, "", "", nil},
	{"empty", "an empty message is a message", "", "", true, "", "", nil},
	{"CloudEvent", "the function does not know it, and its carrier counts", `{"specversion":"1.0",` + tracetest.ForeignTraceparent + `}`, "", true, tracetest.ForeignParent, "", nil},
	{"large carrier", "the function does not know it, and the error stays", `{"id":7,"baggage":"` + strings.Repeat("x", 16_384) + `"}`, "", true, "", "", tracedpubsub.ErrCarrierTooLarge},

	{"envelope", "the function is not asked about the payload", `{"tracedpubsub":1,` + tracetest.ForeignTraceparent + `,"size":29,"payload":{"data":"hello","headers":{}}}`, `{"data":"hello","headers":{}}`, false, tracetest.ForeignParent, "", nil},
	{"envelope in another order", "it is one of ours, too", `{"data":"hello","headers":{},"payload":"mine","tracedpubsub":1}`, "mine", false, "", "", nil},
	{"malformed envelope", "it is one of ours, and broken", `{"tracedpubsub":"no","data":"hello","headers":{}}`, "", false, "", "", tracedpubsub.ErrMalformedEnvelope},
	{"later version", "it is one of ours", `{"tracedpubsub":2,` + tracetest.ForeignTraceparent + `,"data":"hello","headers":{}}`, "", false, tracetest.ForeignParent, "", tracedpubsub.ErrUnsupportedVersion},
}

// A subscription, FromRedis and Decode read envelopes of another kind, and ask once about each
// message that is none of ours.
func TestForeignEnvelope(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		var calls tracetest.CallCounter
		var errs tracetest.ErrorLog
		option := tracedpubsub.WithForeignEnvelope(func(message string) (tracedpubsub.Envelope, bool) {
			calls.Count("foreign")
			return readAny(message)
		})
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), errs.Option(), option, tracedpubsub.WithForeignEnvelope(nil))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "orders"))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "orders"))
		for i, row := range foreignEnvelopes {
			t.Run(row.name, func(t *testing.T) {
				want, asked := row.payload, map[string]int(nil)
				if want == "" {
					want = row.message
				}
				if row.asked {
					asked = map[string]int{"foreign": 1}
				}
				assertContext := func(how, payload string, err error, ctx trace.SpanContext, b baggage.Baggage) {
					t.Helper()
					if payload != want || !errors.Is(err, row.err) || row.err == nil && err != nil {
						t.Errorf("%s: got %.200q, %v, want %.200q, %v: %s", how, payload, err, want, row.err, row.reason)
					}
					if got := parentOf(ctx); got != row.producer || b.Member("tenant").Value() != row.tenant {
						t.Errorf("%s: the producer is %q and the baggage %q, want %q and %q: %s", how, got, b, row.producer, row.tenant, row.reason)
					}
					calls.Assert(t, how, asked)
				}

				tracetest.AssertSent(t, rdb.Publish(ctx, "orders", row.message))
				for ctx, m := range sub.Messages(ctx) {
					assertContext("Messages", m.Payload, m.Err, trace.SpanContextFromContext(m.Extract(t.Context())), baggage.FromContext(ctx))
					break
				}
				if got := parentOf(rec.Spans(t, i+1)[i].Parent()); got != row.producer {
					t.Errorf("the parent of the consumer span is %q, want %q", got, row.producer)
				}
				m := client.FromRedis(tracetest.NextRaw(t, raw))
				extracted := m.Extract(t.Context())
				assertContext("FromRedis", m.Payload, m.Err, trace.SpanContextFromContext(extracted), baggage.FromContext(extracted))
				e, err := tracedpubsub.Decode(row.message, option)
				extracted = e.Extract(t.Context())
				assertContext("Decode", e.Payload, err, trace.SpanContextFromContext(extracted), baggage.FromContext(extracted))
			})
		}
		errs.AssertNone(t)
	})
}

// parentOf returns the traceparent of a span context, or "" if it is not valid.
func parentOf(sc trace.SpanContext) string {
	if !sc.IsValid() {
		return ""
	}
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}

// The names and values of the fields may have 16,384 bytes, and no more.
func TestForeignEnvelopeLimit(t *testing.T) {
	for n, want := range map[int]error{16_384: nil, 16_385: tracedpubsub.ErrCarrierTooLarge} {
		e, err := tracedpubsub.Decode("hello", tracedpubsub.WithForeignEnvelope(func(message string) (e tracedpubsub.Envelope, ok bool) {
			e.Payload = message + " there"
			e.Carrier.Set("traceparent", tracetest.ForeignParent)
			e.Carrier.Set("b3", strings.Repeat("v", n-len("traceparent"+tracetest.ForeignParent+"b3")))
			return e, true
		}))
		if e.Payload != "hello there" || !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%d bytes: got %q, %v, want %v", n, e.Payload, err, want)
		}
		if got := len(e.Carrier.Keys()); (got == 2) != (want == nil) || want != nil && got > 0 {
			t.Errorf("%d bytes: %d fields", n, got)
		}
	}
}

// A function that panics is reported, and the message is delivered as it is.
func TestForeignEnvelopePanics(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		var errs tracetest.ErrorLog
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), errs.Option(),
			tracedpubsub.WithForeignEnvelope(func(string) (tracedpubsub.Envelope, bool) { panic(tracetest.ErrTest) }))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "orders"))
		message := `{"id":7,` + tracetest.ForeignTraceparent + `}`
		tracetest.AssertSent(t, rdb.Publish(ctx, "orders", message))
		for _, m := range sub.Messages(ctx) {
			if m.Payload != message || m.Err != nil {
				t.Errorf("got %q, %v, want the message as it is", m.Payload, m.Err)
			}
			break
		}
		if got := parentOf(rec.Spans(t, 1)[0].Parent()); got != tracetest.ForeignParent {
			t.Errorf("the parent is %q, want that of the message", got)
		}
		errs.AssertOne(t, tracetest.ErrTest)
		if text := errs.All()[0].Error(); !strings.HasPrefix(text, "tracedpubsub: panic in the function given to WithForeignEnvelope: ") {
			t.Errorf("reported was %q", text)
		}
	})
}

// What the function returns is trusted no more than other messages.
func TestForeignEnvelopeAtPublicEndpoint(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithPublicEndpoint(), tracedpubsub.WithForeignEnvelope(fastStream))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "orders"))
		tracetest.AssertSent(t, rdb.Publish(ctx, "orders", `{"data":"hello",`+inHeaders+`}`))
		for inside, m := range sub.Messages(tracetest.WithBaggage(t, ctx, "mine=1")) {
			tracetest.AssertBaggage(t, inside, "mine=1")
			extracted := m.Extract(ctx)
			tracetest.AssertBaggage(t, extracted, "")
			if got := parentOf(trace.SpanContextFromContext(extracted)); m.Payload != "hello" || got != tracetest.ForeignParent {
				t.Errorf("got %q from %q", m.Payload, got)
			}
			break
		}
		span := rec.Spans(t, 1)[0]
		tracetest.AssertRoot(t, span)
		if links := span.Links(); len(links) != 1 || parentOf(links[0].SpanContext) != tracetest.ForeignParent {
			t.Errorf("links are %v, want one to the producer", links)
		}
	})
}

// The function is for consumers, and only for channels that are traced.
func TestForeignEnvelopeIsNotAsked(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	ctx := tracetest.Context(t)
	var calls tracetest.CallCounter
	options := []tracedpubsub.Option{
		tracedpubsub.WithForeignEnvelope(func(string) (tracedpubsub.Envelope, bool) {
			calls.Count("foreign")
			return tracedpubsub.Envelope{Payload: "wrong"}, true
		}),
		tracedpubsub.WithFilter(func(channel string) bool { return channel != "plain" }),
	}
	client := tracedpubsub.Wrap(rdb, options...)
	hooked := server.Client()
	if err := tracedpubsub.Instrument(hooked, func(string) bool { return true }, options...); err != nil {
		t.Fatal(err)
	}
	sub := tracetest.ReadySub(t, client.PSubscribe(ctx, "*"))
	message := `{"data":"hello",` + inHeaders + `}`
	tracetest.AssertSent(t, client.Publish(ctx, "orders", message))
	tracetest.AssertSent(t, hooked.Publish(ctx, "orders", message))
	tracetest.AssertSent(t, hooked.Publish(ctx, "orders", tracetest.ForeignEnvelope)) // relayed
	tracetest.AssertSent(t, rdb.Publish(ctx, "plain", message))
	tracetest.AssertReceives(t, sub, message, message, "hello", message)
	calls.Assert(t, "for envelopes and a channel that is filtered", nil)
}

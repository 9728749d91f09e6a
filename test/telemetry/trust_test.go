// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// attack is a message of a publisher that is not trusted: see docs/security.md.
type attack struct {
	name, reason string
	message      string

	payload string // what the consumer gets; "": the message as it is
	err     error  // that of the message

	// What reaches a consumer that trusts the publisher:
	forged  bool // the span of forgedParent
	members int  // of baggage
	state   int  // bytes of tracestate
}

// received is what a consumer got of an attack.
type received struct {
	inside   context.Context // of the handler
	message  *tracedpubsub.Message
	consumer sdktrace.ReadOnlySpan
}

// on publishes the message, and receives it with a consumer that has baggage of its own.
func (a *attack) on(t *testing.T, rdb *redis.Client, options ...tracedpubsub.Option) (s received) {
	t.Helper()
	ctx, spans := tracetest.Context(t), tracetest.NewRecorder(t)
	sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, append(options, tracedpubsub.WithTracerProvider(spans))...).Subscribe(ctx, "reports"))
	defer func() { _ = sub.Close() }()
	tracetest.AssertSent(t, rdb.Publish(ctx, "reports", a.message))
	for inside, m := range sub.Messages(tracetest.WithBaggage(t, ctx, "mine=1")) {
		s.inside, s.message = inside, m
		break
	}
	s.consumer = spans.Spans(t, 1)[0]

	payload := a.payload
	if payload == "" {
		payload = a.message
	}
	m := s.message
	if m.Payload != payload {
		t.Errorf("payload is %.100q (%d bytes), want %.100q (%d bytes)", m.Payload, len(m.Payload), payload, len(payload))
	}
	if a.err == nil && m.Err != nil || !errors.Is(m.Err, a.err) {
		t.Errorf("the error of the message is %v, want %v", m.Err, a.err)
	}
	return s
}

func TestAttacks(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, a := range attacks() {
			t.Run(a.name+"/trusting", func(t *testing.T) {
				s := a.on(t, rdb)
				if a.forged {
					tracetest.AssertChildOf(t, s.consumer, forgedSpanContext(t))
				} else {
					tracetest.AssertRoot(t, s.consumer)
				}
				tracetest.AssertLinks(t, s.consumer)
				if got := len(s.consumer.SpanContext().TraceState().String()); got != a.state {
					t.Errorf("%d bytes of tracestate, want %d: %s", got, a.state, a.reason)
				}
				if a.members == 0 {
					tracetest.AssertBaggage(t, s.inside, "mine=1")
				} else if got := baggage.FromContext(s.inside).Len(); got != a.members {
					t.Errorf("%d members of baggage, want %d: %s", got, a.members, a.reason)
				}
			})
			t.Run(a.name+"/public endpoint", func(t *testing.T) {
				s := a.on(t, rdb, tracedpubsub.WithPublicEndpoint())
				assertCutOff(t, s)
				if !a.forged {
					tracetest.AssertLinks(t, s.consumer)
					return
				}
				tracetest.AssertLinks(t, s.consumer, forgedSpanContext(t))
				if got := len(s.consumer.Links()[0].SpanContext.TraceState().String()); got != a.state {
					t.Errorf("%d bytes of tracestate on the link, want %d: %s", got, a.state, a.reason)
				}
			})
		}
	})
}

// assertCutOff asserts that the context of the handler has nothing of the publisher, and
// that the context of Extract has at most its span.
func assertCutOff(t *testing.T, s received) {
	t.Helper()
	tracetest.AssertRoot(t, s.consumer)
	inside := trace.SpanContextFromContext(s.inside)
	if inside.SpanID() != s.consumer.SpanContext().SpanID() || inside.TraceID().String() == forgedTrace || inside.TraceState().Len() != 0 {
		t.Errorf("the span of the handler is %v of trace %v with tracestate %q", inside.SpanID(), inside.TraceID(), inside.TraceState())
	}
	tracetest.AssertBaggage(t, s.inside, "mine=1")
	if got := baggage.FromContext(s.message.Extract(context.Background())); got.Len() != 0 {
		t.Errorf("Extract gives baggage %.100q", got)
	}
}

func forgedSpanContext(t *testing.T) trace.SpanContext {
	t.Helper()
	traceID, err1 := trace.TraceIDFromHex(forgedTrace)
	spanID, err2 := trace.SpanIDFromHex(forgedSpan)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled, Remote: true})
}

// With the default sampler of the SDK, the sampled flag of the publisher decides what a
// consumer records that trusts it.
func TestForgedSampledFlag(t *testing.T) {
	rows := []struct {
		name, reason string
		flags        string
		options      []tracedpubsub.Option
		root         sdktrace.Sampler // of the consumer's ParentBased sampler
		recorded     int
	}{
		{"costs", "a sampled flag makes all consumers record", "01", nil, sdktrace.NeverSample(), 1},
		{"hides", "without one, the work that the publisher causes is not recorded", "00", nil, sdktrace.AlwaysSample(), 0},
		{"costs, public endpoint", "the consumer decides", "01", []tracedpubsub.Option{tracedpubsub.WithPublicEndpoint()}, sdktrace.NeverSample(), 0},
		{"hides, public endpoint", "the consumer decides", "00", []tracedpubsub.Option{tracedpubsub.WithPublicEndpoint()}, sdktrace.AlwaysSample(), 1},
		{"costs, link", "the consumer decides", "01", []tracedpubsub.Option{tracedpubsub.WithRelation(link)}, sdktrace.NeverSample(), 0},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				ctx, spans := tracetest.Context(t), tracetest.NewRecorder(t, sdktrace.WithSampler(sdktrace.ParentBased(row.root)))
				sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, append(row.options, tracedpubsub.WithTracerProvider(spans))...).Subscribe(ctx, row.name))
				tracetest.AssertSent(t, rdb.Publish(ctx, row.name, `{"traceparent":"00-`+forgedTrace+`-`+forgedSpan+`-`+row.flags+`"}`))
				for range sub.Messages(ctx) {
					break
				}
				if got := len(spans.Ended()); got != row.recorded {
					t.Errorf("%d spans were recorded, want %d: %s", got, row.recorded, row.reason)
				}
			})
		}
	})
}

// Extract returns the span of the publisher also with WithPublicEndpoint. A consumer that
// starts spans with this context trusts the publisher.
func TestExtractAtPublicEndpoint(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		a := attack{message: `{"traceparent":"` + forgedParent + `","baggage":"role=admin"}`}
		s := a.on(t, rdb, tracedpubsub.WithPublicEndpoint())
		got := trace.SpanContextFromContext(s.message.Extract(s.inside))
		if want := forgedSpanContext(t); !got.Equal(want) {
			t.Errorf("Extract gives %v, want the forged %v", got, want)
		}
		tracetest.AssertBaggage(t, s.message.Extract(s.inside), "mine=1")
	})
}

// The baggage of the publisher replaces that of the consumer. Its values are decoded, and
// may have line breaks.
func TestForgedBaggage(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		a := attack{message: `{"traceparent":"` + forgedParent + `","baggage":"role=admin,note=a%0D%0Ab"}`}
		s := a.on(t, rdb)
		got := baggage.FromContext(s.inside)
		if got.Member("role").Value() != "admin" || got.Member("note").Value() != "a\r\nb" || got.Member("mine").Key() != "" {
			t.Errorf("baggage is %q, want only that of the publisher", got)
		}
	})
}

// Without the propagator of baggage, baggage is neither sent nor read.
func TestWithoutBaggage(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		noBaggage := tracedpubsub.WithPropagators(traceContextOnly)
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, tracedpubsub.Wrap(rdb, noBaggage).Publish(tracetest.WithBaggage(t, ctx, "card=4111"), "reports", "hello"))
		if got, want := tracetest.NextRaw(t, raw).Payload, `{"tracedpubsub":1,"payload":"hello"}`; got != want {
			t.Errorf("on the wire is %s, want %s", got, want)
		}
		a := attack{message: `{"traceparent":"` + forgedParent + `","baggage":"role=admin"}`}
		s := a.on(t, rdb, noBaggage)
		tracetest.AssertBaggage(t, s.inside, "mine=1")
		tracetest.AssertChildOf(t, s.consumer, forgedSpanContext(t))
	})
}

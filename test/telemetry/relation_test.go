// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

const (
	child = tracedpubsub.RelationChild
	link  = tracedpubsub.RelationLink
)

// related is what a consumer span has of its producer.
type related struct {
	child         bool // of the producer
	linksProducer bool
	baggage       string // in the loop; the producer sends "from=producer"
}

var relations = []struct {
	name, reason string
	options      []tracedpubsub.Option
	want         related
}{{
	name:   "default",
	reason: "one publish and its consumers are one trace, without links",
	want:   related{child: true, baggage: "from=producer"},
}, {
	name:    "child",
	reason:  "the default by its name",
	options: []tracedpubsub.Option{tracedpubsub.WithRelation(child)},
	want:    related{child: true, baggage: "from=producer"},
}, {
	name:    "link",
	reason:  "each consumer has a trace of its own, and keeps the baggage of a publisher that is trusted",
	options: []tracedpubsub.Option{tracedpubsub.WithRelation(link)},
	want:    related{linksProducer: true, baggage: "from=producer"},
}, {
	name:    "public endpoint",
	reason:  "a publisher that is not trusted decides neither on the trace nor on the baggage",
	options: []tracedpubsub.Option{tracedpubsub.WithPublicEndpoint()},
	want:    related{linksProducer: true},
}, {
	name:    "public endpoint and child",
	reason:  "a publisher that is not trusted is not a parent, with any relation",
	options: []tracedpubsub.Option{tracedpubsub.WithPublicEndpoint(), tracedpubsub.WithRelation(child)},
	want:    related{linksProducer: true},
}, {
	name:    "public endpoint and link",
	reason:  "one link is enough",
	options: []tracedpubsub.Option{tracedpubsub.WithRelation(link), tracedpubsub.WithPublicEndpoint()},
	want:    related{linksProducer: true},
}, {
	name:    "link, then child",
	reason:  "the later option counts",
	options: []tracedpubsub.Option{tracedpubsub.WithRelation(link), tracedpubsub.WithRelation(child)},
	want:    related{child: true, baggage: "from=producer"},
}, {
	name:    "unknown",
	reason:  "a relation that does not exist is ignored",
	options: []tracedpubsub.Option{tracedpubsub.WithRelation(link), tracedpubsub.WithRelation(7)},
	want:    related{linksProducer: true, baggage: "from=producer"},
}}

func TestRelations(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range relations {
			for _, ambient := range []string{"alone", "with an ambient span"} {
				t.Run(row.name+"/"+ambient, func(t *testing.T) {
					ctx := tracetest.Context(t)
					var links []trace.SpanContext
					if ambient != "alone" {
						var sc trace.SpanContext
						ctx, sc = tracetest.WithCaller(t, ctx)
						links = append(links, sc)
					}
					consumeRelated(t, ctx, rdb, row.name+ambient, row.want, links, row.options...)
				})
			}
		}
	})
}

func consumeRelated(t *testing.T, ctx context.Context, rdb *redis.Client, channel string, want related, links []trace.SpanContext, options ...tracedpubsub.Option) {
	t.Helper()
	producers, consumers := tracetest.NewRecorder(t), tracetest.NewRecorder(t)
	from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers))
	to := tracedpubsub.Wrap(rdb, append(slices.Clip(options), tracedpubsub.WithTracerProvider(consumers))...)
	sub := tracetest.ReadySub(t, to.Subscribe(ctx, channel))
	tracetest.AssertSent(t, from.Publish(tracetest.WithBaggage(t, tracetest.Context(t), "from=producer"), channel, "hello"))
	producer := producers.Spans(t, 1)[0]

	for inside, m := range sub.Messages(ctx) {
		tracetest.AssertBaggage(t, inside, want.baggage)
		tracetest.AssertExtract(t, m, producer, want.baggage)
		break
	}
	consumer := consumers.Spans(t, 1)[0]
	if want.child {
		tracetest.AssertParent(t, consumer, producer)
	} else {
		tracetest.AssertRoot(t, consumer)
		assertOwnTrace(t, consumer, append(links, producer.SpanContext())...)
	}
	if want.linksProducer {
		links = append(links, producer.SpanContext())
	}
	tracetest.AssertLinks(t, consumer, links...)
}

// assertOwnTrace asserts that s is not in the trace of any other span.
func assertOwnTrace(t *testing.T, s sdktrace.ReadOnlySpan, others ...trace.SpanContext) {
	t.Helper()
	for _, other := range others {
		if s.SpanContext().TraceID() == other.TraceID() {
			t.Errorf("%q is in the trace %v, want one of its own", s.Name(), other.TraceID())
		}
	}
}

// withoutProducer are messages without a valid producer.
var withoutProducer = []struct {
	name, reason string
	message      string
	baggage      string
}{
	{"text", "it has no carrier", "hello", ""},
	{"envelope", "an envelope without a context", `{"tracedpubsub":1,"payload":"hello"}`, ""},
	{"baggage", "baggage alone is not a producer", `{"tracedpubsub":1,"baggage":"from=producer","payload":"hello"}`, "from=producer"},
	{"bad traceparent", "the span context is not valid", `{"tracedpubsub":1,"traceparent":"00-0-0-01","payload":"hello"}`, ""},
}

// Without a producer the consumer span is a root. An ambient span is a link and not the
// parent, as a loop may run for long.
func TestMessageWithoutProducer(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, relation := range relations {
			for _, row := range withoutProducer {
				t.Run(relation.name+"/"+row.name, func(t *testing.T) {
					ctx, consumers, channel := tracetest.Context(t), tracetest.NewRecorder(t), relation.name+"/"+row.name
					to := tracedpubsub.Wrap(rdb, append(slices.Clip(relation.options), tracedpubsub.WithTracerProvider(consumers))...)
					sub := tracetest.ReadySub(t, to.Subscribe(ctx, channel))
					for range 2 {
						tracetest.AssertSent(t, rdb.Publish(ctx, channel, row.message))
					}
					want := "mine=1"
					if row.baggage != "" && relation.want.baggage != "" { // the publisher is trusted
						want = row.baggage
					}
					for range sub.Messages(ctx) {
						break
					}
					ambientCtx, ambient := tracetest.WithCaller(t, tracetest.WithBaggage(t, ctx, "mine=1"))
					for ctx, m := range sub.Messages(ambientCtx) {
						tracetest.AssertBaggage(t, ctx, want)
						extracted := m.Extract(ambientCtx)
						tracetest.AssertBaggage(t, extracted, want)
						if got := trace.SpanContextFromContext(extracted); !got.Equal(ambient) {
							t.Errorf("Extract gives %v, want the caller's span %v: %s", got.SpanID(), ambient.SpanID(), row.reason)
						}
						break
					}
					spans := consumers.Spans(t, 2)
					for _, s := range spans {
						tracetest.AssertRoot(t, s)
						assertOwnTrace(t, s, ambient)
					}
					tracetest.AssertLinks(t, spans[0])
					tracetest.AssertLinks(t, spans[1], ambient)
				})
			}
		}
	})
}

// An application may have put the context of the producer into ctx itself.
func TestAmbientSpanIsTheProducer(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range relations {
			t.Run(row.name, func(t *testing.T) {
				ctx, producers, consumers := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
				to := tracedpubsub.Wrap(rdb, append(slices.Clip(row.options), tracedpubsub.WithTracerProvider(consumers))...)
				sub := tracetest.ReadySub(t, to.Subscribe(ctx, row.name))
				tracetest.AssertSent(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers)).Publish(ctx, row.name, "hello"))
				producer := producers.Spans(t, 1)[0]
				m := tracetest.NextMessage(t, sub)
				_, span := m.Start(m.Extract(ctx))
				span.End()
				consumer := consumers.Spans(t, 1)[0]
				if row.want.child {
					tracetest.AssertParent(t, consumer, producer)
					tracetest.AssertLinks(t, consumer)
				} else {
					tracetest.AssertRoot(t, consumer)
					tracetest.AssertLinks(t, consumer, producer.SpanContext())
				}
			})
		}
	})
}

// The sampler decides on a new root. A publisher can neither switch its sampling on nor
// off.
func TestSamplingDecision(t *testing.T) {
	rows := []struct {
		name, reason string
		options      []tracedpubsub.Option
		root         sdktrace.Sampler
		flags        trace.TraceFlags // of the producer
		sampled      bool
	}{
		{"child of a sampled span", "it follows its parent", nil, sdktrace.NeverSample(), trace.FlagsSampled, true},
		{"child of an unsampled span", "it follows its parent", nil, sdktrace.AlwaysSample(), 0, false},
		{"link to an unsampled span", "a new root", []tracedpubsub.Option{tracedpubsub.WithRelation(link)}, sdktrace.AlwaysSample(), 0, true},
		{"public, publisher not sampled", "the publisher cannot hide", []tracedpubsub.Option{tracedpubsub.WithPublicEndpoint()}, sdktrace.AlwaysSample(), 0, true},
		{"public, publisher sampled", "the publisher cannot cause costs", []tracedpubsub.Option{tracedpubsub.WithPublicEndpoint()}, sdktrace.NeverSample(), trace.FlagsSampled, false},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				ctx := tracetest.Context(t)
				consumers := tracetest.NewRecorder(t, sdktrace.WithSampler(sdktrace.ParentBased(row.root)))
				sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, append(slices.Clip(row.options), tracedpubsub.WithTracerProvider(consumers))...).Subscribe(ctx, row.name))
				sent := trace.ContextWithRemoteSpanContext(ctx, tracetest.SpanContext(t, row.flags, ""))
				message, err := tracedpubsub.Encode(sent, "hello")
				if err != nil {
					t.Fatal(err)
				}
				tracetest.AssertSent(t, rdb.Publish(ctx, row.name, message))
				for ctx := range sub.Messages(ctx) {
					if got := trace.SpanContextFromContext(ctx).IsSampled(); got != row.sampled {
						t.Errorf("sampled is %v, want %v: %s", got, row.sampled, row.reason)
					}
					break
				}
				if row.sampled {
					consumers.Spans(t, 1)
				} else {
					consumers.Spans(t, 0)
				}
			})
		}
	})
}

// The consumer keeps its own baggage.
func TestPublicEndpointKeepsOwnBaggage(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithPublicEndpoint()).Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, tracedpubsub.Publish(tracetest.WithBaggage(t, ctx, "role=admin"), rdb, "reports", "hello"))
		mine := tracetest.WithBaggage(t, ctx, "role=guest")
		for ctx, m := range sub.Messages(mine) {
			tracetest.AssertBaggage(t, ctx, "role=guest")
			tracetest.AssertBaggage(t, m.Extract(mine), "role=guest")
			if got := baggage.FromContext(m.Extract(t.Context())).Len(); got != 0 {
				t.Errorf("%d members of the baggage of the publisher are left", got)
			}
			break
		}
	})
}

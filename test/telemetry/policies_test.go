// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// policy is a combination of options. Its methods say what the options mean together.
type policy struct {
	link      bool // WithRelation(RelationLink)
	public    bool // WithPublicEndpoint
	filtered  bool // WithFilter returns false
	unwrapped bool // WithEnvelopeFilter returns false
	templated bool // WithDestinationTemplate
}

func allPolicies() (all []policy) {
	for i := range 1 << 5 {
		all = append(all, policy{i&1 != 0, i&2 != 0, i&4 != 0, i&8 != 0, i&16 != 0})
	}
	return all
}

func (p policy) traced() bool { return !p.filtered }

func (p policy) wrapped() bool { return p.traced() && !p.unwrapped }

func (p policy) child() bool { return p.wrapped() && !p.link && !p.public }

func (p policy) linked() bool { return p.wrapped() && (p.link || p.public) }

func (p policy) baggage() bool { return p.wrapped() && !p.public }

func (p policy) destination(channel string) string {
	if p.templated {
		return "policy.{id}"
	}
	return channel
}

func (p policy) String() string {
	return fmt.Sprintf("link %t,public %t,filtered %t,without envelope %t,templated %t", p.link, p.public, p.filtered, p.unwrapped, p.templated)
}

func (p policy) options() (opts []tracedpubsub.Option) {
	no := func(string) bool { return false }
	if p.link {
		opts = append(opts, tracedpubsub.WithRelation(tracedpubsub.RelationLink))
	}
	if p.public {
		opts = append(opts, tracedpubsub.WithPublicEndpoint())
	}
	if p.filtered {
		opts = append(opts, tracedpubsub.WithFilter(no))
	}
	if p.unwrapped {
		opts = append(opts, tracedpubsub.WithEnvelopeFilter(no))
	}
	if p.templated {
		opts = append(opts, tracedpubsub.WithDestinationTemplate(func(string) string { return "policy.{id}" }))
	}
	return opts
}

// publishing is a way to publish under a policy.
type publishing struct {
	name, reason          string
	client, hooked, piped bool
	// spans returns the operations of the spans of the publisher, if the channel is traced.
	// The first one makes the envelope.
	spans func(p policy) []string
}

var policed = []publishing{
	{"Client", "the application calls the library", true, false, false, func(policy) []string { return []string{"publish"} }},
	{"Client, pipeline", "the application sends the pipeline itself", true, false, true, func(policy) []string { return []string{"create"} }},
	{"hook", "the application calls go-redis", false, true, false, func(policy) []string { return []string{"publish"} }},
	{"hook, pipeline", "likewise", false, true, true, func(policy) []string { return []string{"create", "send"} }},
	{"Client and hook", "the Client traces it", true, true, false, func(policy) []string { return []string{"publish"} }},
	{"Client and hook, pipeline", "the hook sends the messages of the Client", true, true, true, func(p policy) []string {
		if p.unwrapped {
			return []string{"create", "create", "send"} // the hook does not know that the Client wants no envelope
		}
		return []string{"create", "send"}
	}},
}

// exchange is a message that is published and received under a policy.
type exchange struct {
	policy
	rdb     *redis.Client
	through *tracedpubsub.Client // nil: rdb publishes
	piped   bool
	spans   []string // of publishing
	channel string

	sub                  *tracedpubsub.PubSub
	raw                  *redis.PubSub
	producing, consuming *tracetest.Recorder
}

// over returns an exchange over rdb on a channel. Nothing is subscribed to yet.
func (way *publishing) over(t *testing.T, rdb *redis.Client, p policy, channel string) *exchange {
	t.Helper()
	x := &exchange{policy: p, rdb: rdb, piped: way.piped, spans: way.spans(p), channel: channel,
		producing: tracetest.NewRecorder(t), consuming: tracetest.NewRecorder(t)}
	opts := append(p.options(), tracedpubsub.WithTracerProvider(x.producing))
	if way.hooked {
		if err := tracedpubsub.Instrument(rdb, func(c string) bool { return c == channel }, opts...); err != nil {
			t.Fatal(err)
		}
	}
	if way.client {
		x.through = tracedpubsub.Wrap(rdb, opts...)
	}
	return x
}

// listen subscribes, with a Client that has the same policy and with rdb.
func (x *exchange) listen(t *testing.T, ctx context.Context) {
	t.Helper()
	to := tracedpubsub.Wrap(x.rdb, append(x.options(), tracedpubsub.WithTracerProvider(x.consuming))...)
	x.sub, x.raw = tracetest.ReadySub(t, to.Subscribe(ctx, x.channel)), tracetest.ReadyRaw(t, x.rdb.Subscribe(ctx, x.channel))
}

// assert publishes a message, and asserts what is sent, received and recorded.
func (x *exchange) assert(t *testing.T, ctx context.Context, payload string) {
	t.Helper()
	produced, consumed := len(x.producing.Ended()), len(x.consuming.Ended())
	publishing, caller := tracetest.WithCaller(t, tracetest.WithBaggage(t, ctx, "from=producer"))
	x.publish(t, publishing, payload)
	wire := tracetest.NextRaw(t, x.raw)
	var inside context.Context
	for loop, m := range x.sub.Messages(ctx) {
		inside = loop
		if m.Payload != payload || m.Err != nil {
			t.Errorf("received %q, %v, want %q", m.Payload, m.Err, payload)
		}
		break
	}
	if got := baggage.FromContext(inside).Member("from").Value() == "producer"; got != x.baggage() {
		t.Errorf("the baggage was received: %t, want %t", got, x.baggage())
	}
	if !x.traced() {
		x.producing.Spans(t, produced)
		x.consuming.Spans(t, consumed)
		if wire.Payload != payload || trace.SpanContextFromContext(inside).IsValid() {
			t.Errorf("a channel that is not traced has %q on the wire, and %v in the loop", wire.Payload, trace.SpanContextFromContext(inside))
		}
		return
	}
	producers := x.producing.Spans(t, produced+len(x.spans))[produced:]
	for i, s := range producers {
		x.assertDescribed(t, s, x.spans[i])
		tracetest.AssertChildOf(t, s, caller)
	}
	if x.wrapped() {
		tracetest.AssertCarries(t, wire, payload, producers[0])
	} else if wire.Payload != payload {
		t.Errorf("on the wire is %q, want %q", wire.Payload, payload)
	}
	consumer := x.consuming.Spans(t, consumed+1)[consumed]
	x.assertDescribed(t, consumer, "process")
	x.assertRelated(t, consumer, producers)
}

// assertRelated asserts the parent and the links of a consumer span.
func (x *exchange) assertRelated(t *testing.T, consumer sdktrace.ReadOnlySpan, producers []sdktrace.ReadOnlySpan) {
	t.Helper()
	if x.child() {
		tracetest.AssertParent(t, consumer, producers[0])
		tracetest.AssertLinks(t, consumer)
		return
	}
	tracetest.AssertRoot(t, consumer)
	if id := consumer.SpanContext().TraceID(); id == producers[0].SpanContext().TraceID() {
		t.Errorf("the trace of %q is the producer's, want another", consumer.Name())
	}
	if x.linked() {
		tracetest.AssertLinks(t, consumer, producers[0].SpanContext())
	} else {
		tracetest.AssertLinks(t, consumer)
	}
}

func (x *exchange) publish(t *testing.T, ctx context.Context, payload string) {
	t.Helper()
	var rdb tracetest.Publisher = x.rdb
	pipe := x.rdb.Pipeline()
	if x.piped {
		rdb = pipe
	}
	var cmd *redis.IntCmd
	if x.through != nil {
		cmd = x.through.PublishTo(ctx, rdb, x.channel, payload)
	} else {
		cmd = rdb.Publish(ctx, x.channel, payload)
	}
	if _, err := pipe.Exec(ctx); err != nil { // does nothing for an empty pipeline
		t.Fatal(err)
	}
	tracetest.AssertSent(t, cmd)
}

// assertDescribed asserts the name of a span, its destination and its template.
func (x *exchange) assertDescribed(t *testing.T, s sdktrace.ReadOnlySpan, operation string) {
	t.Helper()
	tracetest.AssertName(t, s, operation+" "+x.destination(x.channel))
	if got, _ := tracetest.AttributeOf(s, "messaging.destination.name"); got.AsString() != x.channel {
		t.Errorf("the channel of %q is %q, want %q", s.Name(), got.AsString(), x.channel)
	}
	want := ""
	if x.templated {
		want = x.destination(x.channel)
	}
	if got, _ := tracetest.AttributeOf(s, "messaging.destination.template"); got.AsString() != want {
		t.Errorf("the template of %q is %q, want %q", s.Name(), got.AsString(), want)
	}
}

// Every combination of the options, with every way to publish.
func TestPoliciesInAllCombinations(t *testing.T) {
	server := miniredis.RunT(t)
	for _, p := range allPolicies() {
		for _, way := range policed {
			t.Run(way.name+"/"+p.String(), func(t *testing.T) {
				ctx, rdb := tracetest.Context(t), redis.NewClient(&redis.Options{Addr: server.Addr()})
				t.Cleanup(func() { _ = rdb.Close() })
				x := way.over(t, rdb, p, "policy")
				x.listen(t, ctx)
				x.assert(t, ctx, "hello")
				x.assert(t, ctx, `{"id":7}`)
				if t.Failed() {
					t.Log(way.reason)
				}
			})
		}
	}
}

// All policies at once over one pool, each on a channel of its own, with Clients and with
// hooks.
func TestPoliciesOverOnePool(t *testing.T) {
	ctx := tracetest.Context(t)
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), PoolSize: 4})
	t.Cleanup(func() { _ = rdb.Close() })
	var exchanges []*exchange
	for i, p := range allPolicies() {
		exchanges = append(exchanges, policed[i%len(policed)].over(t, rdb, p, fmt.Sprint("policy.", i)))
	}
	var all sync.WaitGroup
	for _, x := range exchanges {
		all.Go(func() {
			t.Run(x.String(), func(t *testing.T) {
				x.listen(t, ctx)
				for i := range 10 {
					x.assert(t, ctx, fmt.Sprint("hello ", i))
				}
			})
		})
	}
	all.Wait()
}

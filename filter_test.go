// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// A channel that is left out is as go-redis has it, on both sides.
func TestFilter(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec),
			tracedpubsub.WithFilter(func(channel string) bool { return channel != "plain" }))
		raw := readyRaw(t, rdb.Subscribe(ctx, "plain"))
		sub := readySub(t, client.PSubscribe(ctx, "*"))
		publishing, ambient := withCaller(t, withBaggage(t, ctx, "tenant=acme"))

		assertSent(t, client.Publish(publishing, "plain", "hello"))
		assertSent(t, rdb.Publish(ctx, "plain", foreignEnvelope))
		pipe := rdb.Pipeline()
		client.PublishTo(publishing, pipe, "plain", 7)
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"hello", foreignEnvelope, "7"} {
			if got := nextRaw(t, raw).Payload; got != want {
				t.Errorf("on the wire is %q, want %q", got, want)
			}
			for inside, m := range sub.Messages(trace.ContextWithSpanContext(ctx, ambient)) {
				if m.Payload != want || m.Err != nil || m.Channel != "plain" || m.Pattern != "*" {
					t.Errorf("got %+v, want %q: it is not looked into", m, want)
				}
				if got := trace.SpanContextFromContext(inside); !got.Equal(ambient) {
					t.Errorf("in the loop is the span %v, want the caller's %v", got.SpanID(), ambient.SpanID())
				}
				if got := trace.SpanContextFromContext(m.Extract(t.Context())); got.IsValid() {
					t.Errorf("Extract gives %v, want nothing", got)
				}
				break
			}
		}
		assertSameError(t, client.Publish(ctx, "plain", report{7}).Err(), rdb.Publish(ctx, "plain", report{7}).Err())
		rec.spans(t, 0)

		assertSent(t, client.Publish(ctx, "traced", "hello"))
		for _, m := range sub.Messages(ctx) {
			if m.Payload != "hello" {
				t.Errorf("got %q, want hello", m.Payload)
			}
			break
		}
		spans := rec.spans(t, 2)
		assertParent(t, spans[1], spans[0])
	})
}

// Without an envelope a publish still has its span, and reading is not affected.
func TestEnvelopeFilter(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec),
			tracedpubsub.WithEnvelopeFilter(func(channel string) bool { return channel != "bare" }))
		raw := readyRaw(t, rdb.Subscribe(ctx, "bare"))
		sub := readySub(t, client.Subscribe(ctx, "bare"))
		publishing, callerSpan := withCaller(t, ctx)
		for i, row := range payloadTypes {
			assertSent(t, rdb.Publish(ctx, "bare", row.payload))
			want := nextRaw(t, raw).Payload
			assertSent(t, client.Publish(publishing, "bare", row.payload))
			if got := nextRaw(t, raw).Payload; got != want {
				t.Errorf("%s: on the wire is %.200q, want %.200q", row.name, got, want)
			}
			for range 2 {
				if m := nextMessage(t, sub); m.Payload != want {
					t.Errorf("%s: received %.200q, want %.200q", row.name, m.Payload, want)
				}
			}
			span := rec.spans(t, i+1)[i]
			assertChildOf(t, span, callerSpan)
			assertAttributes(t, span, served(rdb, "publish", "bare", heardBy(2))...)
		}
		assertSent(t, rdb.Publish(ctx, "bare", foreignEnvelope))
		if m := nextMessage(t, sub); m.Payload != "hello" {
			t.Errorf("received %q, want that an envelope is read where none is written", m.Payload)
		}

		n := len(payloadTypes)
		assertSameError(t, client.Publish(ctx, "bare", report{7}).Err(), rdb.Publish(ctx, "bare", report{7}).Err())
		assertFailed(t, rec.spans(t, n+1)[n], plainErrorType)
		got := endingOf(func() { client.Publish(ctx, "bare", &failing{panic: errHandler}) })
		if want := (ending{panicked: errHandler}); got != want {
			t.Errorf("Publish has ended with %+v, want %+v", got, want)
		}
		assertFailed(t, rec.spans(t, n+2)[n+1], "panic")
	})
}

// asked counts how often the functions given to options are asked, by option.
type asked struct {
	mu    sync.Mutex
	times map[string]int
}

func (a *asked) count(option string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.times == nil {
		a.times = make(map[string]int)
	}
	a.times[option]++
}

// take returns what was counted since the last time.
func (a *asked) take() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	times := a.times
	a.times = nil
	return times
}

func (a *asked) options() []tracedpubsub.Option {
	filter := func(option string) func(string) bool {
		return func(string) bool { a.count(option); return true }
	}
	return []tracedpubsub.Option{
		tracedpubsub.WithFilter(filter("filter")),
		tracedpubsub.WithEnvelopeFilter(filter("envelope filter")),
		tracedpubsub.WithDestinationTemplate(func(string) string { a.count("template"); return "user.{id}" }),
	}
}

func (a *asked) assert(t *testing.T, when string, want map[string]int) {
	t.Helper()
	if got := a.take(); !maps.Equal(got, want) {
		t.Errorf("%s the functions were asked %v, want %v", when, got, want)
	}
}

// A user's function is asked at most once a message: it may be costly.
func TestFunctionsAreAskedOnce(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := testContext(t)
		var a asked
		client := tracedpubsub.Wrap(rdb, append(a.options(), tracedpubsub.WithTracerProvider(newRecorder(t)))...)
		publishing := map[string]int{"filter": 1, "envelope filter": 1, "template": 1}
		reading := map[string]int{"filter": 1, "template": 1}

		assertSent(t, client.Publish(ctx, "user.7", "hello"))
		a.assert(t, "at a publish", publishing)
		if err := client.Publish(ctx, "user.7", report{7}).Err(); err == nil {
			t.Error("a struct was published")
		}
		a.assert(t, "at a publish that fails", publishing)
		pipe := rdb.Pipeline()
		client.PublishTo(ctx, pipe, "user.7", "hello")
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		a.assert(t, "at a deferred publish", publishing)

		for _, c := range waysToConsume {
			channel := "user." + c.name
			s := &receiving{client: client, sub: readySub(t, client.Subscribe(ctx, channel)), raw: readyRaw(t, rdb.Subscribe(ctx, channel))}
			sent, err := tracedpubsub.Encode(ctx, "hello")
			if err != nil {
				t.Fatal(err)
			}
			if c.fromRaw {
				_ = s.sub.Close() // which would ask as well
			}
			a.take()
			assertSent(t, rdb.Publish(ctx, channel, sent))
			c.consume(t, ctx, s, func(ctx context.Context, m *tracedpubsub.Message) {
				m.Extract(ctx)
				_, span := m.Start(ctx)
				span.End()
			})
			a.assert(t, "in "+c.name, reading)
		}
	})
}

// What a function panics with reaches the error handler, once, and the message
// goes its way.
func TestPanickingFunctions(t *testing.T) {
	rows := []struct {
		name, reason string
		option       tracedpubsub.Option
		says         string
		publishes    int // how many reports a publish makes
		reads        int
	}{
		{"WithFilter", "the channel is traced", tracedpubsub.WithFilter(func(string) bool { panic(errHandler) }), "WithFilter", 1, 1},
		{"WithEnvelopeFilter", "the payload goes out in an envelope", tracedpubsub.WithEnvelopeFilter(func(string) bool { panic(errHandler) }), "WithEnvelopeFilter", 1, 0},
		{"WithDestinationTemplate", "the channel has none", tracedpubsub.WithDestinationTemplate(func(string) string { panic(errHandler) }), "WithDestinationTemplate", 1, 1},
	}
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				ctx, rec := testContext(t), newRecorder(t)
				var publishing, reading errorLog
				client := tracedpubsub.Wrap(rdb, row.option, tracedpubsub.WithTracerProvider(rec), publishing.option())
				reader := tracedpubsub.Wrap(rdb, row.option, tracedpubsub.WithTracerProvider(rec), reading.option())
				sub := readySub(t, reader.Subscribe(ctx, row.name))
				assertSent(t, client.Publish(ctx, row.name, "hello"))
				for _, m := range sub.Messages(ctx) {
					if m.Payload != "hello" {
						t.Errorf("got %q, want hello: %s", m.Payload, row.reason)
					}
					_, span := m.Start(ctx)
					span.End()
					break
				}
				published, read := publishing.all(), reading.all()
				if len(published) != row.publishes || len(read) != row.reads {
					t.Errorf("the error handlers were told %v and %v, want %d and %d reports", published, read, row.publishes, row.reads)
				}
				for _, err := range slices.Concat(published, read) {
					if text := err.Error(); !errors.Is(err, errHandler) || !strings.HasPrefix(text, "tracedpubsub: ") || !strings.Contains(text, row.says) {
						t.Errorf("the error handler was told %q, want %q of %s", err, errHandler, row.says)
					}
				}
				spans := rec.spans(t, 3)
				assertAttributes(t, spans[0], served(rdb, "publish", row.name, heardBy(1))...)
				assertSucceeded(t, spans[0])
				for _, s := range spans[1:] {
					assertParent(t, s, spans[0])
					assertAttributes(t, s, served(rdb, "process", row.name)...)
				}
			})
		}
	})
}

// panicking is a propagator that panics when it is used, but not when it is asked
// for its fields.
type panicking struct{}

func (panicking) Inject(context.Context, propagation.TextMapCarrier) { panic(errHandler) }

func (panicking) Extract(context.Context, propagation.TextMapCarrier) context.Context {
	panic(errHandler)
}

func (panicking) Fields() []string { return []string{"traceparent"} }

// A message goes out, and comes in, without a context if the propagator panics.
func TestPropagatorThatPanics(t *testing.T) {
	ctx, rdb, rec := testContext(t), redistest.Start(t).Client(), newRecorder(t)
	var published, read errorLog
	raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))
	assertSent(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithPropagators(panicking{}),
		published.option()).Publish(ctx, "reports", "hello"))
	published.assertOne(t, errHandler)
	const bare = `{"tracedpubsub":1,"payload":"hello"}`
	if got := nextRaw(t, raw).Payload; got != bare {
		t.Errorf("what went out is %s, want %s", got, bare)
	}

	m := tracedpubsub.FromRedis(&redis.Message{Channel: "reports", Payload: `{"tracedpubsub":1,"traceparent":"x","payload":"hello"}`},
		tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithPropagators(panicking{}), read.option())
	_, span := m.Start(ctx)
	span.End()
	if m.Payload != "hello" {
		t.Errorf("the payload is %q, want %q", m.Payload, "hello")
	}
	read.assertOne(t, errHandler)
	assertRoot(t, rec.spans(t, 2)[1])
}

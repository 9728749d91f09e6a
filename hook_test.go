// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

func allChannels(string) bool { return true }

// instrument instruments rdb for all channels.
func instrument(t *testing.T, rdb redis.UniversalClient, rec *recorder, opts ...tracedpubsub.Option) {
	t.Helper()
	opts = append([]tracedpubsub.Option{tracedpubsub.WithTracerProvider(rec)}, opts...)
	if err := tracedpubsub.Instrument(rdb, allChannels, opts...); err != nil {
		t.Fatal(err)
	}
}

// commander is what publishes in all the ways that a hook sees.
type commander interface {
	publisher
	Do(ctx context.Context, args ...any) *redis.Cmd
}

// ways to publish without this package. run returns a function that reads the reply.
var commands = []struct {
	name, reason string
	operation    string
	run          func(ctx context.Context, rdb commander, channel string) func() (int64, error)
	sharded      bool
	outside      bool // an auto-pipeline sends it by itself, with the ctx of the caller
}{{
	name:      "Publish",
	reason:    "the usual way",
	operation: "publish",
	run: func(ctx context.Context, rdb commander, channel string) func() (int64, error) {
		return rdb.Publish(ctx, channel, "hello").Result
	},
}, {
	name:      "SPublish",
	reason:    "the same for sharded channels",
	operation: "spublish",
	run: func(ctx context.Context, rdb commander, channel string) func() (int64, error) {
		return rdb.SPublish(ctx, channel, "hello").Result
	},
	sharded: true,
}, {
	name:      "Do publish",
	reason:    "as a command that go-redis does not know",
	operation: "publish",
	run: func(ctx context.Context, rdb commander, channel string) func() (int64, error) {
		return rdb.Do(ctx, "publish", channel, "hello").Int64
	},
	outside: true,
}, {
	name:      "Do PuBLisH",
	reason:    "Redis does not mind the case, nor go-redis bytes",
	operation: "publish",
	run: func(ctx context.Context, rdb commander, channel string) func() (int64, error) {
		return rdb.Do(ctx, []byte("PuBLisH"), []byte(channel), []byte("hello")).Int64
	},
	outside: true,
}, {
	name:      "Do SPUBLISH",
	reason:    "pointers are followed",
	operation: "spublish",
	run: func(ctx context.Context, rdb commander, channel string) func() (int64, error) {
		return rdb.Do(ctx, "SPUBLISH", &channel, new("hello")).Int64
	},
	sharded: true,
	outside: true,
}}

// Whatever publishes, and however, is seen.
func TestHookSeesAllThatPublishes(t *testing.T) {
	server := redistest.Start(t)
	for _, p := range publishers {
		for _, c := range commands {
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				ctx, rec, channel := testContext(t), newRecorder(t), p.name+"/"+c.name
				rdb, listener, meters := server.Client(), server.Client(), newMetering(t)
				instrument(t, rdb, rec, meters.option())
				subscribe := listener.Subscribe
				if c.sharded {
					subscribe = listener.SSubscribe
				}
				raw := readyRaw(t, subscribe(ctx, channel))
				publishing, caller := withCaller(t, ctx)

				var reply func() (int64, error)
				err := p.with(publishing, rdb, func(p publisher) { reply = c.run(publishing, p.(commander), channel) })
				if err != nil {
					t.Fatalf("%v: %s, %s", err, p.reason, c.reason)
				}
				if n, err := reply(); n != 1 || err != nil {
					t.Errorf("the command has %d, %v, want 1: one client has heard it", n, err)
				}
				parent := caller
				if strings.HasSuffix(p.name, "AutoPipeline") && !c.outside {
					parent = trace.SpanContext{} // its hooks get no context of anybody
				}
				var creation sdktrace.ReadOnlySpan
				if len(rec.sofar()) > 1 { // an auto-pipeline takes a single command for a batch, or not
					if !p.deferred {
						t.Errorf("there are several spans: %v", names(rec.sofar()))
					}
					creation = assertBatchOfOne(t, rec, rdb, channel, parent)
				} else {
					if p.deferred && parent.IsValid() && !c.outside {
						t.Errorf("there is no span for the batch: %v", names(rec.sofar()))
					}
					creation = rec.spans(t, 1)[0]
					assertName(t, creation, c.operation+" "+channel)
					assertKind(t, creation, trace.SpanKindProducer)
					assertLinks(t, creation)
					assertAttributes(t, creation, served(rdb, c.operation, channel, heardBy(1))...)
					assertParentOrRoot(t, creation, parent)
					assertSucceeded(t, creation)
				}
				assertCarries(t, nextRaw(t, raw), "hello", creation)
				meters.assertTells(t, rec.sofar())
			})
		}
	}
}

// assertBatchOfOne asserts that rec has the spans of a pipeline with one message, and
// returns that of the message.
func assertBatchOfOne(t *testing.T, rec *recorder, rdb *redis.Client, channel string, parent trace.SpanContext) sdktrace.ReadOnlySpan {
	t.Helper()
	spans := rec.spans(t, 2)
	create, send := spans[0], spans[1]
	assertName(t, create, "create "+channel)
	assertKind(t, create, trace.SpanKindProducer)
	assertLinks(t, create)
	assertAttributes(t, create, served(rdb, "create", channel)...)
	assertName(t, send, "send "+channel)
	assertKind(t, send, trace.SpanKindClient)
	assertLinks(t, send, create.SpanContext())
	assertAttributes(t, send, served(rdb, "send", channel, batchOf(1))...)
	for _, s := range spans {
		assertParentOrRoot(t, s, parent)
		assertSucceeded(t, s)
	}
	return create
}

// assertParentOrRoot is assertChildOf, or assertRoot if the parent is not valid.
func assertParentOrRoot(t *testing.T, s sdktrace.ReadOnlySpan, parent trace.SpanContext) {
	t.Helper()
	if parent.IsValid() {
		assertChildOf(t, s, parent)
	} else {
		assertRoot(t, s)
	}
}

// assertCarries asserts that m is an envelope around payload, made within span.
func assertCarries(t *testing.T, m *redis.Message, payload string, span sdktrace.ReadOnlySpan) {
	t.Helper()
	e, err := tracedpubsub.Decode(m.Payload)
	if e.Payload != payload || err != nil {
		t.Errorf("%q is an envelope around %q, %v, want %q", m.Payload, e.Payload, err, payload)
	}
	if again, _ := tracedpubsub.Decode(e.Payload); again.Payload != e.Payload {
		t.Errorf("the payload was wrapped twice: %q", m.Payload)
	}
	if sent := producerOnTheWire(t, m); sent.SpanID() != span.SpanContext().SpanID() || sent.TraceID() != span.SpanContext().TraceID() {
		t.Errorf("on the wire is the span %v, want %v of %q", sent.SpanID(), span.SpanContext().SpanID(), span.Name())
	}
}

// The consumer span of a message that a hook has traced is a child of the producer's.
func TestHookRoundTrip(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		instrument(t, rdb, rec)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := readySub(t, client.Subscribe(ctx, "reports"))
		listener := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
		t.Cleanup(func() { _ = listener.Close() })
		raw := readyRaw(t, listener.Subscribe(ctx, "bare"))
		for i, row := range payloadTypes {
			t.Run(row.name, func(t *testing.T) {
				assertSent(t, listener.Publish(ctx, "bare", row.payload))
				want := nextRaw(t, raw).Payload
				assertSent(t, rdb.Publish(ctx, "reports", row.payload))
				for _, m := range sub.Messages(ctx) {
					if m.Payload != want || m.Err != nil {
						t.Errorf("received %.200q, %v, want %.200q: %s", m.Payload, m.Err, want, row.reason)
					}
					break
				}
				spans := rec.spans(t, 2*i+2)[2*i:]
				assertAttributes(t, spans[0], served(rdb, "publish", "reports", heardBy(1))...)
				assertParent(t, spans[1], spans[0])
			})
		}
	})
}

// What is not a publish of one payload on a channel is for go-redis and Redis.
func TestHookLeavesOtherCommandsAlone(t *testing.T) {
	rows := []struct {
		name, reason string
		args         []any
	}{
		{"no payload", "Redis refuses it", []any{"publish", "reports"}},
		{"two payloads", "Redis refuses it", []any{"publish", "reports", "hello", "hello"}},
		{"channel that go-redis refuses", "its error is on the command", []any{"publish", report{7}, "hello"}},
		{"channel that fails to marshal", "its error is on the command", []any{"publish", nameless{}, "hello"}},
		{"another command", "it has as many arguments", []any{"set", "publish", "hello"}},
		{"PUBSUB", "it begins like it", []any{"pubsub", "channels", "*"}},
	}
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		bare := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
		t.Cleanup(func() { _ = bare.Close() })
		instrument(t, rdb, rec)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				want, got := bare.Do(ctx, row.args...), rdb.Do(ctx, row.args...)
				if got.String() != want.String() {
					t.Errorf("got %q, want %q as without a hook: %s", got, want, row.reason)
				}
				rec.spans(t, 0)
			})
		}
	})
}

// nameless is a channel that never has a name.
type nameless struct{}

func (nameless) MarshalBinary() ([]byte, error) { return nil, errHandler }

// Where the type of a channel is one that go-redis formats, the name that is sent counts.
func TestHookFormatsChannels(t *testing.T) {
	ctx, rec := testContext(t), newRecorder(t)
	rdb := redistest.Start(t).Client()
	instrument(t, rdb, rec)
	if err := rdb.Do(ctx, "publish", 7.5, "hello").Err(); err != nil {
		t.Fatal(err)
	}
	assertAttributes(t, rec.spans(t, 1)[0], served(rdb, "publish", "7.5", heardBy(0))...)
}

// The payload is marshalled once: it might give something else the second time.
func TestHookMarshalsOnce(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		instrument(t, rdb, rec)
		refused := &failing{err: errHandler}
		if err := rdb.Publish(ctx, "reports", refused).Err(); !errors.Is(err, errHandler) || refused.asked != 1 {
			t.Errorf("the command has %v, and was asked %d times, want %v once", err, refused.asked, errHandler)
		}
		assertFailed(t, rec.spans(t, 1)[0], plainErrorType)
		got := endingOf(func() { rdb.Publish(ctx, "reports", &failing{panic: errHandler}) })
		if want := (ending{panicked: errHandler}); got != want {
			t.Errorf("Publish has ended with %+v, want %+v as without a hook", got, want)
		}
	})
}

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
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// commander is what publishes in all the ways that a hook sees.
type commander interface {
	tracetest.Publisher
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
	for _, p := range tracetest.Publishers {
		for _, c := range commands {
			t.Run(p.Name+"/"+c.name, func(t *testing.T) {
				ctx, rec, channel := tracetest.Context(t), tracetest.NewRecorder(t), p.Name+"/"+c.name
				rdb, listener, meters := server.Client(), server.Client(), tracetest.NewMetrics(t)
				tracetest.Instrument(t, rdb, rec, meters.Option())
				subscribe := listener.Subscribe
				if c.sharded {
					subscribe = listener.SSubscribe
				}
				raw := tracetest.ReadyRaw(t, subscribe(ctx, channel))
				publishing, caller := tracetest.WithCaller(t, ctx)

				var reply func() (int64, error)
				err := p.With(publishing, rdb, func(p tracetest.Publisher) { reply = c.run(publishing, p.(commander), channel) })
				if err != nil {
					t.Fatalf("%v: %s, %s", err, p.Reason, c.reason)
				}
				if n, err := reply(); n != 1 || err != nil {
					t.Errorf("the command has %d, %v, want 1: one client has heard it", n, err)
				}
				parent := caller
				if strings.HasSuffix(p.Name, "AutoPipeline") && !c.outside {
					parent = trace.SpanContext{} // its hooks get no context of anybody
				}
				var creation sdktrace.ReadOnlySpan
				if len(rec.Ended()) > 1 { // an auto-pipeline takes a single command for a batch, or not
					if !p.Deferred {
						t.Errorf("there are several spans: %v", tracetest.Names(rec.Ended()))
					}
					creation = assertBatchOfOne(t, rec, rdb, channel, parent)
				} else {
					if p.Deferred && parent.IsValid() && !c.outside {
						t.Errorf("there is no span for the batch: %v", tracetest.Names(rec.Ended()))
					}
					creation = rec.Spans(t, 1)[0]
					tracetest.AssertName(t, creation, c.operation+" "+channel)
					tracetest.AssertKind(t, creation, trace.SpanKindProducer)
					tracetest.AssertLinks(t, creation)
					tracetest.AssertAttributes(t, creation, tracetest.MessagingOn(rdb, c.operation, channel, tracetest.Receivers(1))...)
					assertParentOrRoot(t, creation, parent)
					tracetest.AssertSucceeded(t, creation)
				}
				tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", creation)
				meters.AssertMatch(t, rec.Ended())
			})
		}
	}
}

// assertBatchOfOne asserts that rec has the spans of a pipeline with one message, and
// returns that of the message.
func assertBatchOfOne(t *testing.T, rec *tracetest.Recorder, rdb *redis.Client, channel string, parent trace.SpanContext) sdktrace.ReadOnlySpan {
	t.Helper()
	spans := rec.Spans(t, 2)
	create, send := spans[0], spans[1]
	tracetest.AssertName(t, create, "create "+channel)
	tracetest.AssertKind(t, create, trace.SpanKindProducer)
	tracetest.AssertLinks(t, create)
	tracetest.AssertAttributes(t, create, tracetest.MessagingOn(rdb, "create", channel)...)
	tracetest.AssertName(t, send, "send "+channel)
	tracetest.AssertKind(t, send, trace.SpanKindClient)
	tracetest.AssertLinks(t, send, create.SpanContext())
	tracetest.AssertAttributes(t, send, tracetest.MessagingOn(rdb, "send", channel, tracetest.BatchSize(1))...)
	for _, s := range spans {
		assertParentOrRoot(t, s, parent)
		tracetest.AssertSucceeded(t, s)
	}
	return create
}

// assertParentOrRoot is assertChildOf, or assertRoot if the parent is not valid.
func assertParentOrRoot(t *testing.T, s sdktrace.ReadOnlySpan, parent trace.SpanContext) {
	t.Helper()
	if parent.IsValid() {
		tracetest.AssertChildOf(t, s, parent)
	} else {
		tracetest.AssertRoot(t, s)
	}
}

// The consumer span of a message that a hook has traced is a child of the producer's.
func TestHookRoundTrip(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		tracetest.Instrument(t, rdb, rec)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		listener := tracetest.OtherClient(t, rdb)
		raw := tracetest.ReadyRaw(t, listener.Subscribe(ctx, "bare"))
		for i, row := range tracetest.PayloadTypes {
			t.Run(row.Name, func(t *testing.T) {
				tracetest.AssertSent(t, listener.Publish(ctx, "bare", row.Payload))
				want := tracetest.NextRaw(t, raw).Payload
				tracetest.AssertSent(t, rdb.Publish(ctx, "reports", row.Payload))
				for _, m := range sub.Messages(ctx) {
					if m.Payload != want || m.Err != nil {
						t.Errorf("received %.200q, %v, want %.200q: %s", m.Payload, m.Err, want, row.Reason)
					}
					break
				}
				spans := rec.Spans(t, 2*i+2)[2*i:]
				tracetest.AssertAttributes(t, spans[0], tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(1))...)
				tracetest.AssertParent(t, spans[1], spans[0])
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
		{"channel that go-redis refuses", "its error is on the command", []any{"publish", tracetest.Unsupported{ID: 7}, "hello"}},
		{"channel that fails to marshal", "its error is on the command", []any{"publish", nameless{}, "hello"}},
		{"another command", "it has as many arguments", []any{"set", "publish", "hello"}},
		{"PUBSUB", "it begins like it", []any{"pubsub", "channels", "*"}},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		bare := tracetest.OtherClient(t, rdb)
		tracetest.Instrument(t, rdb, rec)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				want, got := bare.Do(ctx, row.args...), rdb.Do(ctx, row.args...)
				if got.String() != want.String() {
					t.Errorf("got %q, want %q as without a hook: %s", got, want, row.reason)
				}
				rec.Spans(t, 0)
			})
		}
	})
}

// nameless is a channel that never has a name.
type nameless struct{}

func (nameless) MarshalBinary() ([]byte, error) { return nil, tracetest.ErrTest }

// Where the type of a channel is one that go-redis formats, the name that is sent counts.
func TestHookFormatsChannels(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := redistest.Start(t).Client()
	tracetest.Instrument(t, rdb, rec)
	if err := rdb.Do(ctx, "publish", 7.5, "hello").Err(); err != nil {
		t.Fatal(err)
	}
	tracetest.AssertAttributes(t, rec.Spans(t, 1)[0], tracetest.MessagingOn(rdb, "publish", "7.5", tracetest.Receivers(0))...)
}

// The payload is marshalled once: it might give something else the second time.
func TestHookMarshalsOnce(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		tracetest.Instrument(t, rdb, rec)
		refused := &tracetest.FailingPayload{Err: tracetest.ErrTest}
		if err := rdb.Publish(ctx, "reports", refused).Err(); !errors.Is(err, tracetest.ErrTest) || refused.Calls != 1 {
			t.Errorf("the command has %v, and was asked %d times, want %v once", err, refused.Calls, tracetest.ErrTest)
		}
		tracetest.AssertFailed(t, rec.Spans(t, 1)[0], tracetest.PlainErrorType)
		got := tracetest.EndingOf(func() { rdb.Publish(ctx, "reports", &tracetest.FailingPayload{Panic: tracetest.ErrTest}) })
		if want := (tracetest.Ending{Panicked: tracetest.ErrTest}); got != want {
			t.Errorf("Publish has ended with %+v, want %+v as without a hook", got, want)
		}
	})
}

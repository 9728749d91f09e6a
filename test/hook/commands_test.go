// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// commander publishes with every command that a hook sees.
type commander interface {
	tracetest.Publisher
	Do(ctx context.Context, args ...any) *redis.Cmd
}

// commands are the commands that publish without this library. run returns a function
// that reads the reply.
var commands = []struct {
	name, reason string
	operation    string
	run          func(ctx context.Context, rdb commander, channel string) func() (int64, error)
	sharded      bool
	outside      bool // an auto-pipeline sends it by itself, with the context of the caller
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
	reason:    "Redis ignores the case, and go-redis takes bytes",
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
		return rdb.Do(ctx, "SPUBLISH", &channel, tracetest.Pointer("hello")).Int64
	},
	sharded: true,
	outside: true,
}}

// The hook traces every publish: every command, sent by every publisher.
func TestHookSeesAllThatPublishes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, p := range tracetest.Publishers {
		for _, c := range commands {
			t.Run(p.Name+"/"+c.name, func(t *testing.T) {
				ctx, rec, channel := tracetest.Context(t), tracetest.NewRecorder(t), p.Name+"/"+c.name
				rdb, listener, meters := server.Client(), server.Client(), tracetest.NewMetrics(t)
				tracetest.Instrument(t, rdb, rec, meters.Option())
				raw := tracetest.ReadyRaw(t, listenBy(listener)(ctx, channel, c.sharded))
				publishing, caller := tracetest.WithCaller(t, ctx)

				var reply func() (int64, error)
				err := p.With(publishing, rdb, func(p tracetest.Publisher) { reply = c.run(publishing, p.(commander), channel) })
				if err != nil {
					t.Fatalf("%v: %s, %s", err, p.Reason, c.reason)
				}
				if n, err := reply(); n != 1 || err != nil {
					t.Errorf("the command has %d, %v, want 1: one client received it", n, err)
				}
				parent := caller
				if strings.HasSuffix(p.Name, "AutoPipeline") && !c.outside {
					parent = trace.SpanContext{} // its hooks do not get the context of the caller
				}
				var creation sdktrace.ReadOnlySpan
				if len(rec.Ended()) > 1 { // an auto-pipeline sends a single command as a batch, or not
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
// returns the span of the message.
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

// assertParentOrRoot is AssertChildOf, or AssertRoot if the parent is not valid.
func assertParentOrRoot(t *testing.T, s sdktrace.ReadOnlySpan, parent trace.SpanContext) {
	t.Helper()
	if parent.IsValid() {
		tracetest.AssertChildOf(t, s, parent)
	} else {
		tracetest.AssertRoot(t, s)
	}
}

// A command that does not publish one payload on a channel is left to go-redis and Redis.
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
		{"PUBSUB", "its name begins with it", []any{"pubsub", "channels", "*"}},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		plain := tracetest.OtherClient(t, rdb)
		tracetest.Instrument(t, rdb, rec)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				want, got := plain.Do(ctx, row.args...), rdb.Do(ctx, row.args...)
				if got.String() != want.String() {
					t.Errorf("got %q, want %q as without a hook: %s", got, want, row.reason)
				}
				rec.Spans(t, 0)
			})
		}
	})
}

// nameless is a channel whose name cannot be marshaled.
type nameless struct{}

func (nameless) MarshalBinary() ([]byte, error) { return nil, tracetest.ErrTest }

// The name of a channel is what go-redis sends for its type.
func TestHookFormatsChannels(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := redistest.Start(t).Client()
	tracetest.Instrument(t, rdb, rec)
	if err := rdb.Do(ctx, "publish", 7.5, "hello").Err(); err != nil {
		t.Fatal(err)
	}
	tracetest.AssertAttributes(t, rec.Spans(t, 1)[0], tracetest.MessagingOn(rdb, "publish", "7.5", tracetest.Receivers(0))...)
}

// The payload is marshaled once, as the second result might be another one.
func TestHookMarshalsOnce(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		tracetest.Instrument(t, rdb, rec)
		refused := &tracetest.FailingPayload{Err: tracetest.ErrTest}
		if err := rdb.Publish(ctx, "reports", refused).Err(); !errors.Is(err, tracetest.ErrTest) || refused.Calls != 1 {
			t.Errorf("the command has %v, and its payload was marshaled %d times, want %v once", err, refused.Calls, tracetest.ErrTest)
		}
		tracetest.AssertFailed(t, rec.Spans(t, 1)[0], tracetest.PlainErrorType)
		got := tracetest.EndingOf(func() { rdb.Publish(ctx, "reports", &tracetest.FailingPayload{Panic: tracetest.ErrTest}) })
		if want := (tracetest.Ending{Panicked: tracetest.ErrTest}); got != want {
			t.Errorf("Publish has ended with %+v, want %+v as without a hook", got, want)
		}
	})
}

// The client that WithTimeout returns has no hooks. It can be instrumented like any other.
func TestInstrumentWithTimeout(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		tracetest.Instrument(t, rdb, rec)
		patient := rdb.WithTimeout(tracetest.Patience)
		tracetest.AssertSent(t, patient.Publish(ctx, "reports", "hello"))
		rec.Spans(t, 0)
		tracetest.Instrument(t, patient, rec)
		tracetest.AssertSent(t, patient.Publish(ctx, "reports", "hello"))
		tracetest.AssertAttributes(t, rec.Spans(t, 1)[0], tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(0))...)
		tracetest.AssertSent(t, rdb.Publish(ctx, "reports", "hello"))
		rec.Spans(t, 2)
	})
}

// A pipeline without a message that is traced is left to go-redis.
func TestHookLeavesOtherPipelinesAlone(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "plain"))
		tracetest.Instrument(t, rdb, rec, tracedpubsub.WithFilter(func(channel string) bool { return channel != "plain" }))
		for _, p := range tracetest.Pipelines {
			cmds, err := p.Run(rdb, ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, p.Name)
				pipe.Publish(ctx, "plain", "hello")
				pipe.Publish(ctx, "plain", tracetest.ForeignEnvelope)
				return nil
			})
			if err != nil || cmds[0].String() != fmt.Sprintf("incr %s: 1", p.Name) {
				t.Errorf("%v, %v: %s", cmds, err, p.Reason)
			}
			for _, want := range []string{"hello", tracetest.ForeignEnvelope} {
				if got := tracetest.NextRaw(t, raw).Payload; got != want {
					t.Errorf("on the wire is %q, want %q", got, want)
				}
			}
		}
		rec.Spans(t, 0)
	})
}

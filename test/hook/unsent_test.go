// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// swallowing is a hook that sends no message and returns no error, as a hook does that
// queues messages or makes a dry run.
type swallowing struct{ passThrough }

func (swallowing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name == "publish" || name == "spublish" {
			return nil
		}
		return next(ctx, cmd)
	}
}

func (swallowing) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return nil }
}

// answering is a hook that answers a message in place of a server.
type answering struct{ passThrough }

func (answering) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		cmd.(*redis.IntCmd).SetVal(7)
		return nil
	}
}

// If a later hook sends nothing and returns no error, nothing was sent without its context.
// The caller gets what it gets without this library.
func TestLaterHookThatSendsNothing(t *testing.T) {
	server := redistest.Start(t)
	for _, p := range tracetest.Publishers {
		for _, c := range commands {
			t.Run(p.Name+"/"+c.name, func(t *testing.T) {
				ctx, rec, channel := tracetest.Context(t), tracetest.NewRecorder(t), p.Name+"/"+c.name
				var errs tracetest.ErrorLog
				bare, rdb, listener, meters := server.Client(), server.Client(), server.Client(), tracetest.NewMetrics(t)
				bare.AddHook(swallowing{})
				tracetest.Instrument(t, rdb, rec, meters.Option(), errs.Option())
				rdb.AddHook(swallowing{})
				raw := tracetest.ReadyRaw(t, listenBy(listener)(ctx, channel, c.sharded))

				publish := func(rdb *redis.Client) string {
					var reply func() (int64, error)
					err := p.With(ctx, rdb, func(p tracetest.Publisher) { reply = c.run(ctx, p.(commander), channel) })
					n, failure := reply()
					return fmt.Sprint(n, failure, err)
				}
				if got, want := publish(rdb), publish(bare); got != want {
					t.Errorf("the command has %s, want %s", got, want)
				}
				errs.AssertNone(t)
				spans := rec.Ended()
				assertNoReceivers(t, spans...)
				meters.AssertMatch(t, spans)
				if n := meters.Total(t, tracetest.SentMessages); n != 1 {
					t.Errorf("%d messages were counted, want 1", n)
				}
				send := listener.Publish
				if c.sharded {
					send = listener.SPublish
				}
				tracetest.AssertSent(t, send(ctx, channel, "end"))
				if got := tracetest.NextRaw(t, raw).Payload; got != "end" {
					t.Errorf("on the wire is %q, want nothing before the end", got)
				}
			})
		}
	}
}

// assertNoReceivers asserts that there are spans, that all have succeeded, and that none
// says how many clients received a message.
func assertNoReceivers(t *testing.T, spans ...sdktrace.ReadOnlySpan) {
	t.Helper()
	if len(spans) == 0 {
		t.Error("there are no spans")
	}
	for _, s := range spans {
		tracetest.AssertSucceeded(t, s)
		if n, ok := tracetest.AttributeOf(s, "tracedpubsub.receivers"); ok {
			t.Errorf("%q has %d receivers, want none", s.Name(), n.AsInt64())
		}
	}
}

// A hook of the nodes of a cluster or a Ring may send nothing, too.
func TestLaterHookOfANodeThatSendsNothing(t *testing.T) {
	t.Parallel()
	onEachHookedClient(t, func(t *testing.T, open func() hookedClient) {
		ctx, rdb, rec := tracetest.Context(t), open(), tracetest.NewRecorder(t)
		var errs tracetest.ErrorLog
		tracetest.Instrument(t, rdb.UniversalClient, rec, errs.Option())
		rdb.add(swallowing{})
		tracetest.AssertSent(t, rdb.SPublish(ctx, "reports", "hello"))
		if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			return pipe.SPublish(ctx, "reports", "hello").Err()
		}); err != nil {
			t.Error(err)
		}
		errs.AssertNone(t)
		assertNoReceivers(t, rec.Spans(t, 3)...)
	})
}

// A reply that a later hook makes up is a reply like others.
func TestLaterHookThatAnswers(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	var errs tracetest.ErrorLog
	rdb := tracetest.UnreachableClient(t)
	tracetest.Instrument(t, rdb, rec, errs.Option())
	rdb.AddHook(answering{})
	if n, err := rdb.Publish(ctx, "reports", "hello").Result(); n != 7 || err != nil {
		t.Errorf("the command has %d, %v, want 7", n, err)
	}
	errs.AssertNone(t)
	tracetest.AssertAttributes(t, rec.Spans(t, 1)[0], tracetest.MessagingOn(rdb, "publish", "reports", tracetest.Receivers(7))...)
}

// A full-duplex auto-pipeline sends a message no matter what hooks do, and no matter whether
// somebody receives it.
func TestUnsentOnFullDuplex(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		later        redis.Hook
		subscribed   bool
	}{
		{"swallowed", "the message is sent all the same", swallowing{}, true},
		{"swallowed, not received", "likewise", swallowing{}, false},
		{"not received", "a reply of 0 is a reply", passThrough{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := redistest.Start(t)
			ctx, rdb, listener := tracetest.Context(t), server.Client(), server.Client()
			var errs tracetest.ErrorLog
			tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), errs.Option())
			rdb.AddHook(tt.later)
			ap, err := rdb.AutoPipelineWithOptions(tracetest.FullDuplex(t))
			if err != nil {
				t.Fatal(err)
			}
			var raw *redis.PubSub
			if tt.subscribed {
				raw = tracetest.ReadyRaw(t, listener.Subscribe(ctx, "reports"))
			}
			for range 3 {
				tracetest.AssertSent(t, ap.Publish(ctx, "reports", "hello"))
				if tt.subscribed {
					if got := tracetest.NextRaw(t, raw).Payload; got != "hello" {
						t.Errorf("on the wire is %q, want hello", got)
					}
				}
			}
			if reports := errs.All(); len(reports) != 1 || !strings.Contains(reports[0].Error(), "full-duplex") {
				t.Errorf("the error handler got %v, want once that full-duplex is the reason: %s", reports, tt.reason)
			}
		})
	}
}

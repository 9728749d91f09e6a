// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The consumer span ends with the body, in whatever way that ends, and the next message
// is left for the next call.
func TestLoopEndings(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, e := range tracetest.LoopEndings {
			t.Run(e.Name, func(t *testing.T) { endLoop(t, rdb, e) })
		}
	})
}

func endLoop(t *testing.T, rdb *redis.Client, e tracetest.LoopEnding) {
	ctx, consumers := tracetest.Context(t), tracetest.NewRecorder(t)
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers))
	sub := tracetest.ReadySub(t, client.Subscribe(ctx, e.Name))
	for _, payload := range []string{"first", "second"} {
		tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, e.Name, payload))
	}

	if got := tracetest.EndingOf(func() { e.Loop(ctx, sub) }); got != e.Want {
		t.Errorf("the loop has ended with %+v, want %+v: %s", got, e.Want, e.Reason)
	}
	span := consumers.Spans(t, 1)[0]
	if e.ErrorType == "" {
		tracetest.AssertSucceeded(t, span)
		tracetest.AssertAttributes(t, span, tracetest.MessagingOn(rdb, "process", e.Name)...)
	} else {
		tracetest.AssertFailed(t, span, e.ErrorType)
	}
	if m := tracetest.NextMessage(t, sub); m.Payload != "second" {
		t.Errorf("after the loop the next message is %q, want the second one", m.Payload)
	}
}

// The body of a range loop runs inside the iterator. The function around the loop can
// recover its panic all the same.
func TestPanicIsRecoveredAroundTheLoop(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := tracetest.Context(t), tracetest.NewRecorder(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		for _, payload := range []string{"bad", "good"} {
			tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", payload))
		}
		var recovered any
		handled := 0
		handleAll := func() (more bool) {
			defer func() {
				if recovered = recover(); recovered != nil {
					more = true
				}
			}()
			for _, m := range sub.Messages(ctx) {
				if m.Payload == "bad" {
					panic(tracetest.ErrTest)
				}
				handled++
				return false
			}
			return false
		}
		again := handleAll()
		if err, _ := recovered.(error); !again || !errors.Is(err, tracetest.ErrTest) {
			t.Errorf("recovered %v, want %v", recovered, tracetest.ErrTest)
		}
		handleAll()
		if handled != 1 {
			t.Errorf("%d messages were handled after the panic, want 1", handled)
		}
		spans := consumers.Spans(t, 2)
		tracetest.AssertFailed(t, spans[0], "panic")
		tracetest.AssertSucceeded(t, spans[1])
	})
}

// Each message has a span of its own, which ends before the next begins.
func TestSpanForEachMessage(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, producers, consumers := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewRecorder(t)
		from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers))
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		const n = 20
		for i := range n {
			tracetest.AssertSent(t, from.Publish(ctx, "reports", i))
		}
		handled := 0
		for _, m := range sub.Messages(ctx) {
			if want := strconv.Itoa(handled); m.Payload != want {
				t.Fatalf("received message %s, want %s", m.Payload, want)
			}
			if ended := len(consumers.Ended()); ended != handled {
				t.Fatalf("%d spans had ended when message %d was handled", ended, handled)
			}
			if handled++; handled < n {
				continue
			}
			break
		}
		published := producers.Spans(t, n)
		for i, s := range consumers.Spans(t, n) {
			tracetest.AssertParent(t, s, published[i])
			tracetest.AssertLinks(t, s)
			tracetest.AssertSucceeded(t, s)
		}
	})
}

func TestHandlerErrors(t *testing.T) {
	rows := []struct {
		name, reason string
		err          error
		errorType    string
	}{
		{"plain", "the type of an error of errors.New says little", tracetest.ErrTest, "*errors.errorString"},
		{"typed", "a named type says which error it is", tracetest.TypedError{}, tracetest.TypedErrorType},
		{"wrapped", "the operand of fmt.Errorf says what failed", fmt.Errorf("report 7: %w", tracetest.TypedError{}), tracetest.TypedErrorType},
		{"end of context", "the handler itself has ended early", context.DeadlineExceeded, reflect.TypeOf(context.DeadlineExceeded).PkgPath() + ".deadlineExceededError"},
		{"closed", "redis.ErrClosed from a handler does not end Process", redis.ErrClosed, "*errors.errorString"},
		{"none", "the handler succeeded", nil, ""},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := tracetest.Context(t), tracetest.NewRecorder(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		for i := range rows {
			tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", i))
		}
		ctx, cancel := context.WithCancel(ctx)
		handled := 0
		err := sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error {
			row := rows[handled]
			if handled++; handled == len(rows) {
				cancel()
			}
			return row.err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Process returned %v, want %v", err, context.Canceled)
		}
		spans := consumers.Spans(t, len(rows))
		for i, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				if row.err == nil {
					tracetest.AssertSucceeded(t, spans[i])
					return
				}
				tracetest.AssertFailed(t, spans[i], row.errorType)
				if d := spans[i].Status().Description; !strings.Contains(d, row.err.Error()) {
					t.Errorf("the status says %q, want %q in it: %s", d, row.err, row.reason)
				}
			})
		}
	})
}

func TestProcessEndsWithTheSubscription(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := tracetest.Context(t), tracetest.NewRecorder(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", "hello"))
		err := sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { return sub.Close() })
		if err != nil {
			t.Errorf("Process returned %v after Close in its handler, want nil", err)
		}
		tracetest.AssertSucceeded(t, consumers.Spans(t, 1)[0])
	})
}

func TestPanicIsOnTheSpanOfProcess(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := tracetest.Context(t), tracetest.NewRecorder(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", "hello"))
		tracetest.EndingOf(func() {
			_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { panic(tracetest.ErrTest) })
		})
		span := consumers.Spans(t, 1)[0]
		tracetest.AssertFailed(t, span, "panic")
		if d := span.Status().Description; !strings.Contains(d, tracetest.ErrTest.Error()) {
			t.Errorf("the status says %q, want %q in it", d, tracetest.ErrTest)
		}
	})
}

func TestChannelIsAlwaysTheSame(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	sub := tracetest.NewSubject(t, server.Addr()).Subscription(t, "a")
	first := sub.Channel()
	tracetest.WaitReady(t, sub)
	tracetest.PublishRaw(t, rdb, "a", "1", "2")
	tracetest.AssertReceives(t, sub, "1")
	if sub.Channel() != first {
		t.Error("a second call returned another channel")
	}
	if m := <-first; m.Payload != "2" {
		t.Errorf("got %q, want 2", m.Payload)
	}
	_ = sub.Close()
	if sub.Channel() != first {
		t.Error("after Close it is another channel")
	}
	if m, ok := <-first; ok {
		t.Errorf("the channel of a closed subscription still gave %v", m)
	}
}

// A loop that breaks at a message leaves the messages behind it for the next call.
func TestBreakKeepsTheRest(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "numbers")
	tracetest.PublishRaw(t, rdb, "numbers", tracetest.Numbered(0, 3)...)
	for range sub.Messages(tracetest.Context(t)) {
		break
	}
	s.Spans.Spans(t, 1)
	tracetest.AssertReceives(t, sub, "1", "2")
}

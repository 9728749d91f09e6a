// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

var errHandler = errors.New("the report could not be made")

// handlerError is an error with a type that has a name.
type handlerError struct{}

func (handlerError) Error() string { return "no such report" }

const handlerErrorType = "github.com/tracedpubsub/tracedpubsub_test.handlerError"

// loopEnding is a way in which the body of a loop may end the loop.
type loopEnding struct {
	name, reason string
	loop         func(ctx context.Context, sub *tracedpubsub.PubSub)
	want         ending
	errorType    string // of the consumer span; "": it tells of no error
}

var loopEndings = []loopEnding{{
	name:   "break",
	reason: "the body says that it wants no more",
	loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		for range sub.Messages(ctx) {
			break
		}
	},
	want: ending{returned: true},
}, {
	name:   "return",
	reason: "the body leaves the function around the loop",
	loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		for range sub.Messages(ctx) {
			return
		}
	},
	want: ending{returned: true},
}, {
	name:   "break to a label",
	reason: "the body leaves a loop around the loop",
	loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
	outer:
		for {
			for range sub.Messages(ctx) {
				break outer
			}
		}
	},
	want: ending{returned: true},
}, {
	name:   "panic",
	reason: "a bug in the body is not this package's to hide",
	loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		for range sub.Messages(ctx) {
			panic(errHandler)
		}
	},
	want:      ending{panicked: errHandler},
	errorType: "panic",
}, {
	name:   "Goexit",
	reason: "t.FailNow in a test's body ends the goroutine",
	loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		for range sub.Messages(ctx) {
			runtime.Goexit()
		}
	},
	errorType: "panic",
}, {
	name:   "panic in Process",
	reason: "it goes on the span and is raised again",
	loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { panic(errHandler) })
	},
	want:      ending{panicked: errHandler},
	errorType: "panic",
}, {
	name:   "panic with a value that is no error, in Process",
	reason: "the caller gets the value itself, not a text of it",
	loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { panic(handlerError{}) })
	},
	want:      ending{panicked: handlerError{}},
	errorType: "panic",
}, {
	name:   "Goexit in Process",
	reason: "t.FailNow in a test's handler ends the goroutine, and is not to become a panic",
	loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { runtime.Goexit(); return nil })
	},
	errorType: "panic",
}}

func TestLoopEndings(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, e := range loopEndings {
			t.Run(e.name, func(t *testing.T) { endLoop(t, rdb, e) })
		}
	})
}

func endLoop(t *testing.T, rdb *redis.Client, e loopEnding) {
	ctx, consumers := testContext(t), newRecorder(t)
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers))
	sub := readySub(t, client.Subscribe(ctx, e.name))
	for _, payload := range []string{"first", "second"} {
		assertSent(t, tracedpubsub.Publish(ctx, rdb, e.name, payload))
	}

	if got := endingOf(func() { e.loop(ctx, sub) }); got != e.want {
		t.Errorf("the loop has ended with %+v, want %+v: %s", got, e.want, e.reason)
	}
	span := consumers.spans(t, 1)[0]
	if e.errorType == "" {
		assertSucceeded(t, span)
		assertAttributes(t, span, served(rdb, "process", e.name)...)
	} else {
		assertFailed(t, span, e.errorType)
	}
	if m := nextMessage(t, sub); m.Payload != "second" {
		t.Errorf("after the loop comes %q, want the second message", m.Payload)
	}
}

// The body of a range loop runs inside the iterator: that must not matter to who
// recovers.
func TestPanicIsRecoveredAroundTheLoop(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := testContext(t), newRecorder(t)
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		for _, payload := range []string{"bad", "good"} {
			assertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", payload))
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
					panic(errHandler)
				}
				handled++
				return false
			}
			return false
		}
		again := handleAll()
		if err, _ := recovered.(error); !again || !errors.Is(err, errHandler) {
			t.Errorf("recovered %v, want %v", recovered, errHandler)
		}
		handleAll()
		if handled != 1 {
			t.Errorf("%d messages were handled after the panic, want 1", handled)
		}
		spans := consumers.spans(t, 2)
		assertFailed(t, spans[0], "panic")
		assertSucceeded(t, spans[1])
	})
}

// Each message has a span of its own, which ends before the next begins.
func TestSpanForEachMessage(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, producers, consumers := testContext(t), newRecorder(t), newRecorder(t)
		from := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(producers))
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		const n = 20
		for i := range n {
			assertSent(t, from.Publish(ctx, "reports", i))
		}
		handled := 0
		for _, m := range sub.Messages(ctx) {
			if want := strconv.Itoa(handled); m.Payload != want {
				t.Fatalf("message %s came in the place of %s", m.Payload, want)
			}
			if ended := len(consumers.sofar()); ended != handled {
				t.Fatalf("%d spans had ended when message %d was handled", ended, handled)
			}
			if handled++; handled < n {
				continue
			}
			break
		}
		published := producers.spans(t, n)
		for i, s := range consumers.spans(t, n) {
			assertParent(t, s, published[i])
			assertLinks(t, s)
			assertSucceeded(t, s)
		}
	})
}

func TestHandlerErrors(t *testing.T) {
	rows := []struct {
		name, reason string
		err          error
		errorType    string
	}{
		{"plain", "an error of errors.New has only a type that many have", errHandler, "*errors.errorString"},
		{"typed", "its own type tells errors apart", handlerError{}, handlerErrorType},
		{"wrapped", "fmt.Errorf says nothing about what failed: its operand does", fmt.Errorf("report 7: %w", handlerError{}), handlerErrorType},
		{"end of context", "a handler may give up by itself", context.DeadlineExceeded, reflect.TypeOf(context.DeadlineExceeded).PkgPath() + ".deadlineExceededError"},
		{"closed", "redis.ErrClosed from a handler is about its own work, and ends nothing", redis.ErrClosed, "*errors.errorString"},
		{"none", "no error: the span tells of none", nil, ""},
	}
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := testContext(t), newRecorder(t)
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		for i := range rows {
			assertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", i))
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
		spans := consumers.spans(t, len(rows))
		for i, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				if row.err == nil {
					assertSucceeded(t, spans[i])
					return
				}
				assertFailed(t, spans[i], row.errorType)
				if d := spans[i].Status().Description; !strings.Contains(d, row.err.Error()) {
					t.Errorf("the status says %q, want %q in it: %s", d, row.err, row.reason)
				}
			})
		}
	})
}

func TestProcessEndsWithTheSubscription(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := testContext(t), newRecorder(t)
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		assertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", "hello"))
		err := sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { return sub.Close() })
		if err != nil {
			t.Errorf("Process returned %v after Close in its handler, want nil", err)
		}
		assertSucceeded(t, consumers.spans(t, 1)[0])
	})
}

func TestPanicIsOnTheSpanOfProcess(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, consumers := testContext(t), newRecorder(t)
		sub := readySub(t, tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(consumers)).Subscribe(ctx, "reports"))
		assertSent(t, tracedpubsub.Publish(ctx, rdb, "reports", "hello"))
		endingOf(func() {
			_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { panic(errHandler) })
		})
		span := consumers.spans(t, 1)[0]
		assertFailed(t, span, "panic")
		if d := span.Status().Description; !strings.Contains(d, errHandler.Error()) {
			t.Errorf("the status says %q, want %q in it", d, errHandler)
		}
	})
}

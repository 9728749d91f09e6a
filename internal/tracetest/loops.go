// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"runtime"

	"github.com/tracedpubsub/tracedpubsub"
)

// LoopEnding is a way in which the body of a loop ends the loop.
type LoopEnding struct {
	Name, Reason string
	Loop         func(ctx context.Context, sub *tracedpubsub.PubSub)
	Want         Ending
	ErrorType    string // of the consumer span; "": it has none
}

// LoopEndings has every way in which a body ends its loop.
var LoopEndings = []LoopEnding{{
	Name:   "break",
	Reason: "the body wants no more messages",
	Loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		for range sub.Messages(ctx) {
			break
		}
	},
	Want: Ending{Returned: true},
}, {
	Name:   "return",
	Reason: "the body leaves the function around the loop",
	Loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		for range sub.Messages(ctx) {
			return
		}
	},
	Want: Ending{Returned: true},
}, {
	Name:   "break to a label",
	Reason: "the body leaves a loop around the loop",
	Loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
	outer:
		for {
			for range sub.Messages(ctx) {
				break outer
			}
		}
	},
	Want: Ending{Returned: true},
}, {
	Name:   "panic",
	Reason: "the library does not hide a bug in the body",
	Loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		for range sub.Messages(ctx) {
			panic(ErrTest)
		}
	},
	Want:      Ending{Panicked: ErrTest},
	ErrorType: "panic",
}, {
	Name:   "Goexit",
	Reason: "t.FailNow in the body of a test ends the goroutine",
	Loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		for range sub.Messages(ctx) {
			runtime.Goexit()
		}
	},
	ErrorType: "panic",
}, {
	Name:   "panic in Process",
	Reason: "it is recorded on the span and raised again",
	Loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { panic(ErrTest) })
	},
	Want:      Ending{Panicked: ErrTest},
	ErrorType: "panic",
}, {
	Name:   "panic with a value that is no error, in Process",
	Reason: "the caller gets the value itself, not a text of it",
	Loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { panic(TypedError{}) })
	},
	Want:      Ending{Panicked: TypedError{}},
	ErrorType: "panic",
}, {
	Name:   "Goexit in Process",
	Reason: "t.FailNow in the handler of a test ends the goroutine, and must not become a panic",
	Loop: func(ctx context.Context, sub *tracedpubsub.PubSub) {
		_ = sub.Process(ctx, func(context.Context, *tracedpubsub.Message) error { runtime.Goexit(); return nil })
	},
	ErrorType: "panic",
}}

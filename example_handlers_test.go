// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
)

// A Handler may be wrapped in another one, like an http.Handler.
func ExampleHandler() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "reports")
	tracedpubsub.Publish(ctx, rdb, "reports", "hello")

	withTimeout := func(next tracedpubsub.Handler, d time.Duration) tracedpubsub.Handler {
		return func(ctx context.Context, msg *tracedpubsub.Message) error {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			return next(ctx, msg)
		}
	}
	printing := func(ctx context.Context, msg *tracedpubsub.Message) error {
		_, limited := ctx.Deadline()
		fmt.Println(msg.Payload, limited)
		return sub.Close() // ends the loop
	}
	fmt.Println(sub.Process(ctx, withTimeout(printing, time.Minute)))

	// Output:
	// hello true
	// <nil>
}

func ExampleMessage_LogValue() {
	log := exampleLogger()

	msg := tracedpubsub.NewMessage("users.7", "users.*", "a secret")
	log.Info("received", "msg", msg)

	// Output:
	// level=INFO msg=received msg.channel=users.7 msg.pattern=users.* msg.payload_size=8
}

// An error handler that logs outages in a form that can be searched.
func ExampleSubscriptionError_LogValue() {
	log := exampleLogger()

	handler := func(err error) {
		var outage *tracedpubsub.SubscriptionError
		switch {
		case !errors.As(err, &outage):
			log.Error("tracing", "err", err)
		case outage.Recovered:
			log.Info("subscription", "outage", outage)
		default:
			log.Warn("subscription", "outage", outage)
		}
	}
	handler(&tracedpubsub.SubscriptionError{ // what tracedpubsub.WithErrorHandler(handler) would call
		Op: tracedpubsub.OpReceive, Channels: []string{"reports"}, Recovered: true, Downtime: 1500 * time.Millisecond, Count: 3, Err: io.EOF,
	})

	// Output:
	// level=INFO msg=subscription outage.op=receive outage.channels="\"reports\"" outage.recovered=true outage.downtime=1.5s outage.count=3 outage.err=EOF
}

// A message that another client has received is decoded, and has its consumer span.
func ExampleNewMessage() {
	received := struct{ Channel, Pattern, Message string }{ // a message as rueidis has it
		"users.7", "users.*",
		`{"tracedpubsub":1,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","payload":"hello"}`,
	}

	msg := tracedpubsub.NewMessage(received.Channel, received.Pattern, received.Message)
	ctx, span := msg.Start(context.Background())
	handle(ctx, msg.Payload)
	span.End()
	fmt.Println(span.SpanContext().TraceID())

	// Output:
	// handling hello
	// 0af7651916cd43dd8448eb211c80319c
}

// exampleLogger returns a logger that writes no time.
func exampleLogger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

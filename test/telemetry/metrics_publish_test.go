// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// measuredPublish is a use of a client, and what is recorded for it: a duration and a
// count for each operation, or nothing.
type measuredPublish struct {
	name, reason string
	options      []tracedpubsub.Option
	publish      func(ctx context.Context, c *tracedpubsub.Client, rdb *redis.Client)
	operation    string // "": nothing is recorded
	errorType    string
	n            int64
}

var measuredPublishes = []measuredPublish{{
	name:   "Publish",
	reason: "the usual message",
	publish: func(ctx context.Context, c *tracedpubsub.Client, _ *redis.Client) {
		c.Publish(ctx, "reports", "hello")
	},
	operation: "publish", n: 1,
}, {
	name:   "SPublish",
	reason: "a command of its own",
	publish: func(ctx context.Context, c *tracedpubsub.Client, _ *redis.Client) {
		c.SPublish(ctx, "reports", "hello")
	},
	operation: "spublish", n: 1,
}, {
	name:   "several",
	reason: "all channels are one series",
	publish: func(ctx context.Context, c *tracedpubsub.Client, _ *redis.Client) {
		for _, channel := range []string{"a", "b", "c"} {
			c.Publish(ctx, channel, "hello")
		}
	},
	operation: "publish", n: 3,
}, {
	name:   "PublishTo a Conn",
	reason: "it waits for the reply as a client does",
	publish: func(ctx context.Context, c *tracedpubsub.Client, rdb *redis.Client) {
		conn := rdb.Conn()
		defer func() { _ = conn.Close() }()
		c.PublishTo(ctx, conn, "reports", "hello")
	},
	operation: "publish", n: 1,
}, {
	name:   "refused by the server",
	reason: "an attempt is counted, with its error",
	publish: func(ctx context.Context, c *tracedpubsub.Client, rdb *redis.Client) {
		rdb.ACLSetUser(ctx, "default", "resetchannels")
		defer rdb.ACLSetUser(ctx, "default", "allchannels")
		c.Publish(ctx, "reports", "hello")
	},
	operation: "publish", errorType: "NOPERM", n: 1,
}, {
	name:   "canceled",
	reason: "likewise",
	publish: func(ctx context.Context, c *tracedpubsub.Client, _ *redis.Client) {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		c.Publish(ctx, "reports", "hello")
	},
	operation: "publish", errorType: "canceled", n: 1,
}, {
	name:   "refused payload",
	reason: "go-redis failed to send it",
	publish: func(ctx context.Context, c *tracedpubsub.Client, _ *redis.Client) {
		c.Publish(ctx, "reports", tracetest.Unsupported{ID: 7})
	},
	operation: "publish", errorType: tracetest.PlainErrorType, n: 1,
}, {
	name:   "panicking payload",
	reason: "the error.type is that of the span",
	publish: func(ctx context.Context, c *tracedpubsub.Client, _ *redis.Client) {
		tracetest.EndingOf(func() { c.Publish(ctx, "reports", &tracetest.FailingPayload{Panic: tracetest.ErrTest}) })
	},
	operation: "publish", errorType: "panic", n: 1,
}, {
	name:    "without an envelope",
	reason:  "it is a message all the same",
	options: []tracedpubsub.Option{tracedpubsub.WithEnvelopeFilter(func(string) bool { return false })},
	publish: func(ctx context.Context, c *tracedpubsub.Client, _ *redis.Client) {
		c.Publish(ctx, "reports", "hello")
	},
	operation: "publish", n: 1,
}, {
	name:    "left out",
	reason:  "WithFilter leaves a channel exactly as go-redis has it",
	options: []tracedpubsub.Option{tracedpubsub.WithFilter(func(string) bool { return false })},
	publish: func(ctx context.Context, c *tracedpubsub.Client, _ *redis.Client) {
		c.Publish(ctx, "reports", "hello")
		c.SPublish(ctx, "reports", "hello")
	},
}, {
	name:   "Pipeline",
	reason: "the conventions forbid to count messages that are not sent yet",
	publish: func(ctx context.Context, c *tracedpubsub.Client, rdb *redis.Client) {
		pipe := rdb.Pipeline()
		c.PublishTo(ctx, pipe, "reports", "hello")
		c.SPublishTo(ctx, pipe, "reports", "hello")
		_, _ = pipe.Exec(ctx)
	},
}, {
	name:   "refused payload in a Pipeline",
	reason: "likewise",
	publish: func(ctx context.Context, c *tracedpubsub.Client, rdb *redis.Client) {
		pipe := rdb.Pipeline()
		c.PublishTo(ctx, pipe, "reports", tracetest.Unsupported{ID: 7})
		pipe.Discard()
	},
}, {
	name:   "AsyncAutoPipeline",
	reason: "likewise, as it only queues",
	publish: func(ctx context.Context, c *tracedpubsub.Client, rdb *redis.Client) {
		ap, err := rdb.AsyncAutoPipeline()
		if err != nil {
			panic(err)
		}
		c.PublishTo(ctx, ap, "reports", "hello")
		_ = ap.Close()
	},
}, {
	name:   "AutoPipeline",
	reason: "the blocking type has the reply",
	publish: func(ctx context.Context, c *tracedpubsub.Client, rdb *redis.Client) {
		ap, err := rdb.AutoPipeline()
		if err != nil {
			panic(err)
		}
		c.PublishTo(ctx, ap, "reports", "hello")
		_ = ap.Close()
	},
	operation: "publish", n: 1,
}, {
	name:   "Encode",
	reason: "nothing is sent",
	publish: func(ctx context.Context, _ *tracedpubsub.Client, _ *redis.Client) {
		_, _ = tracedpubsub.Encode(ctx, "hello")
	},
}}

func TestMetricsOfPublish(t *testing.T) {
	rdb := redistest.Start(t).Client()
	for _, row := range measuredPublishes {
		t.Run(row.name, func(t *testing.T) {
			meters, spans := tracetest.NewMetrics(t), tracetest.NewRecorder(t)
			options := append([]tracedpubsub.Option{meters.Option(), tracedpubsub.WithTracerProvider(spans)}, row.options...)
			row.publish(tracetest.Context(t), tracedpubsub.Wrap(rdb, options...), rdb)
			if row.operation == "" {
				meters.AssertOnly(t)
				return
			}
			want := tracetest.MessagePoint(row.n, rdb, row.operation)
			if row.errorType != "" {
				want = tracetest.MessagePoint(row.n, rdb, row.operation, tracetest.ErrorType(row.errorType))
			}
			meters.AssertOnly(t, tracetest.OperationDuration, tracetest.SentMessages)
			meters.AssertPoints(t, tracetest.OperationDuration, want)
			meters.AssertPoints(t, tracetest.SentMessages, want)
			if t.Failed() {
				t.Log(row.reason)
			}
		})
	}
}

// Without the address of a server, metrics have no server attributes, as spans have none.
func TestMetricsWithoutServer(t *testing.T) {
	meters := tracetest.NewMetrics(t)
	tracetest.SetGlobalMeter(t, meters)
	tracedpubsub.Publish(tracetest.Context(t), tracetest.FailingPublisher{Err: tracetest.ServerError("MOVED 1 a:1")}, "reports", "hello")
	want := tracetest.Point{N: 1, Attributes: attribute.NewSet(
		attribute.String("messaging.system", "redis"), attribute.String("messaging.operation.name", "publish"),
		attribute.String("messaging.operation.type", "send"), tracetest.ErrorType("MOVED"))}
	meters.AssertPoints(t, tracetest.OperationDuration, want)
	meters.AssertPoints(t, tracetest.SentMessages, want)
}

func TestMetricsHaveTheTemplate(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
		client := tracedpubsub.Wrap(rdb, meters.Option(), tracedpubsub.WithDestinationTemplate(func(channel string) string {
			if channel == "none" {
				return ""
			}
			return channel[:1] + ".{id}"
		}))
		sub := tracetest.ReadySub(t, client.PSubscribe(ctx, "*"))
		for _, channel := range []string{"a.1", "a.2", "b.1", "none"} {
			tracetest.AssertSent(t, client.Publish(ctx, channel, "hello"))
			for range sub.Messages(ctx) {
				break
			}
		}
		for name, operation := range map[string]string{
			tracetest.OperationDuration: "publish", tracetest.SentMessages: "publish", tracetest.ConsumedMessages: "process", tracetest.ProcessDuration: "process",
		} {
			rest := tracetest.MessagePoint(1, rdb, operation)
			if operation == "process" {
				rest = tracetest.MessagePoint(1, rdb, operation, tracetest.Template("*")) // the pattern is the template
			}
			meters.AssertPoints(t, name, tracetest.MessagePoint(2, rdb, operation, tracetest.Template("a.{id}")), tracetest.MessagePoint(1, rdb, operation, tracetest.Template("b.{id}")), rest)
		}
	})
}

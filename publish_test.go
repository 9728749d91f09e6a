// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// publisher is what publishes to channels of both kinds.
type publisher interface {
	tracedpubsub.Publisher
	tracedpubsub.ShardPublisher
}

// All that README names can publish, and can be wrapped and subscribed to.
var (
	_ = []publisher{
		(*redis.Client)(nil), (*redis.ClusterClient)(nil), (*redis.Ring)(nil), (*redis.AutoPipeliner)(nil),
		redis.UniversalClient(nil), (*redis.Conn)(nil), (*redis.Tx)(nil), redis.Pipeliner(nil), (*tracedpubsub.Client)(nil),
	}
	_ = []tracedpubsub.Subscriber{
		(*redis.Client)(nil), (*redis.ClusterClient)(nil), (*redis.Ring)(nil), (*redis.AutoPipeliner)(nil), redis.UniversalClient(nil),
	}
)

// publishers are the things that publish. with makes one of rdb, has it used and,
// where its commands are deferred, executes them.
var publishers = []struct {
	name, reason string
	with         func(ctx context.Context, rdb *redis.Client, use func(publisher)) error
	deferred     bool
	client       bool // it is the client itself: it tells its server, and how many have heard it
}{{
	name:   "Client",
	reason: "the usual case",
	with: func(_ context.Context, rdb *redis.Client, use func(publisher)) error {
		use(rdb)
		return nil
	},
	client: true,
}, {
	name:   "Conn",
	reason: "one connection of the pool",
	with: func(_ context.Context, rdb *redis.Client, use func(publisher)) error {
		conn := rdb.Conn()
		use(conn)
		return conn.Close()
	},
}, {
	name:   "Tx",
	reason: "within Watch, commands are sent at once",
	with: func(ctx context.Context, rdb *redis.Client, use func(publisher)) error {
		return rdb.Watch(ctx, func(tx *redis.Tx) error { use(tx); return nil }, "key")
	},
}, {
	name:   "Pipeline",
	reason: "commands are sent by Exec",
	with: func(ctx context.Context, rdb *redis.Client, use func(publisher)) error {
		pipe := rdb.Pipeline()
		use(pipe)
		_, err := pipe.Exec(ctx)
		return err
	},
	deferred: true,
}, {
	name:   "Pipelined",
	reason: "commands are sent when the function returns",
	with: func(ctx context.Context, rdb *redis.Client, use func(publisher)) error {
		_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
		return err
	},
	deferred: true,
}, {
	name:   "TxPipeline",
	reason: "the replies are within that of EXEC",
	with: func(ctx context.Context, rdb *redis.Client, use func(publisher)) error {
		pipe := rdb.TxPipeline()
		use(pipe)
		_, err := pipe.Exec(ctx)
		return err
	},
	deferred: true,
}, {
	name:   "TxPipelined in Watch",
	reason: "the usual transaction",
	with: func(ctx context.Context, rdb *redis.Client, use func(publisher)) error {
		return rdb.Watch(ctx, func(tx *redis.Tx) error {
			_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
			return err
		}, "key")
	},
	deferred: true,
}, {
	name:   "Pipeline of a Conn",
	reason: "a pipeline whatever it is of",
	with: func(ctx context.Context, rdb *redis.Client, use func(publisher)) error {
		conn := rdb.Conn()
		_, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error { use(pipe); return nil })
		if err != nil {
			return err
		}
		return conn.Close()
	},
	deferred: true,
}, {
	name:   "AutoPipeline",
	reason: "the blocking face waits for its batch by itself: there is a reply",
	with: func(_ context.Context, rdb *redis.Client, use func(publisher)) error {
		ap, err := rdb.AutoPipeline()
		if err != nil {
			return err
		}
		use(ap)
		return ap.Close()
	},
}, {
	name:   "AsyncAutoPipeline",
	reason: "the asynchronous face only queues",
	with: func(_ context.Context, rdb *redis.Client, use func(publisher)) error {
		ap, err := rdb.AsyncAutoPipeline()
		if err != nil {
			return err
		}
		use(ap)
		return ap.Close() // which sends what is queued
	},
	deferred: true,
}}

// wayToPublish is one of the functions that publish.
type wayToPublish struct {
	name      string
	publish   func(c *tracedpubsub.Client, ctx context.Context, p publisher, channel string, payload any) *redis.IntCmd
	subscribe func(c *redis.Client, ctx context.Context, channels ...string) *redis.PubSub
	operation string
	ofClient  bool // it knows the client that p is of
	sharded   bool
}

var waysToPublish = []wayToPublish{{
	name: "PublishTo",
	publish: func(c *tracedpubsub.Client, ctx context.Context, p publisher, channel string, payload any) *redis.IntCmd {
		return c.PublishTo(ctx, p, channel, payload)
	},
	subscribe: (*redis.Client).Subscribe,
	operation: "publish",
	ofClient:  true,
}, {
	name: "SPublishTo",
	publish: func(c *tracedpubsub.Client, ctx context.Context, p publisher, channel string, payload any) *redis.IntCmd {
		return c.SPublishTo(ctx, p, channel, payload)
	},
	subscribe: (*redis.Client).SSubscribe,
	operation: "spublish",
	ofClient:  true,
	sharded:   true,
}, {
	name: "Publish",
	publish: func(_ *tracedpubsub.Client, ctx context.Context, p publisher, channel string, payload any) *redis.IntCmd {
		return tracedpubsub.Publish(ctx, p, channel, payload)
	},
	subscribe: (*redis.Client).Subscribe,
	operation: "publish",
}, {
	name: "SPublish",
	publish: func(_ *tracedpubsub.Client, ctx context.Context, p publisher, channel string, payload any) *redis.IntCmd {
		return tracedpubsub.SPublish(ctx, p, channel, payload)
	},
	subscribe: (*redis.Client).SSubscribe,
	operation: "spublish",
	sharded:   true,
}}

func TestPublishers(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		noSharded := onMiniredis(t) // which TestRoundTrip asserts
		for _, p := range publishers {
			for _, w := range waysToPublish {
				if w.sharded && noSharded {
					continue
				}
				t.Run(p.name+"/"+w.name, func(t *testing.T) {
					ctx, rec := testContext(t), newRecorder(t)
					setGlobalTracer(t, rec)
					client, channel := tracedpubsub.Wrap(rdb), p.name+"/"+w.name
					raw := readyRaw(t, w.subscribe(rdb, ctx, channel))
					publishing, callerSpan := withCaller(t, ctx)

					var cmd *redis.IntCmd
					err := p.with(ctx, rdb, func(p publisher) {
						cmd = w.publish(client, publishing, p, channel, "hello")
						if n := len(rec.sofar()); n != 1 {
							t.Errorf("%d spans have ended when Publish has returned, want 1", n)
						}
					})
					if err != nil {
						t.Fatalf("%v: %s", err, p.reason)
					}
					if n, err := cmd.Result(); n != 1 || err != nil {
						t.Errorf("the command has %d, %v, want 1: one client has heard it", n, err)
					}
					span := rec.spans(t, 1)[0]
					want := w.operation
					if p.deferred {
						want = "create"
					}
					assertName(t, span, want+" "+channel)
					assertKind(t, span, trace.SpanKindProducer)
					assertChildOf(t, span, callerSpan)
					assertLinks(t, span)
					assertSucceeded(t, span)
					attributes := messaging(want, channel)
					if p.client || w.ofClient {
						attributes = served(rdb, want, channel)
					}
					if p.client {
						attributes = append(attributes, heardBy(1))
					}
					assertAttributes(t, span, attributes...)
					if sent := producerOnTheWire(t, nextRaw(t, raw)); sent.SpanID() != span.SpanContext().SpanID() {
						t.Errorf("on the wire is the span %v, want %v", sent.SpanID(), span.SpanContext().SpanID())
					}
				})
			}
		}
	})
}

// A Client is what it wraps: in the place of a client it wraps a payload once.
func TestWrappedClientWrapsOnce(t *testing.T) {
	server := redistest.Start(t)
	rdb := server.Client()
	for _, w := range waysToPublish {
		t.Run(w.name, func(t *testing.T) {
			ctx, outer, inner := testContext(t), newRecorder(t), newRecorder(t)
			client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(outer))
			wrapped := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(inner))
			raw := readyRaw(t, w.subscribe(rdb, ctx, w.name))

			assertSent(t, w.publish(client, ctx, wrapped, w.name, "hello"))
			if e, err := tracedpubsub.Decode(nextRaw(t, raw).Payload); e.Payload != "hello" || err != nil {
				t.Errorf("after one envelope comes %q, %v, want the payload", e.Payload, err)
			}
			// PublishTo has the options of its own Client, Publish those of the one
			// that it is given.
			with, without := inner, outer
			if w.ofClient {
				with, without = outer, inner
			}
			assertAttributes(t, with.spans(t, 1)[0], served(rdb, w.operation, w.name, heardBy(1))...)
			without.spans(t, 0)
		})
	}
}

func TestUnwrap(t *testing.T) {
	rdb := redistest.Start(t).Client()
	if got := tracedpubsub.Wrap(rdb).Unwrap(); got != redis.UniversalClient(rdb) {
		t.Errorf("Unwrap returned %v, want the client that was wrapped", got)
	}
}

// The reply says how many clients have heard the message, and so does the span.
func TestReceivers(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		for n := range 4 {
			if got := client.Publish(ctx, "reports", "hello").Val(); got != int64(n) {
				t.Errorf("the reply is %d, want %d", got, n)
			}
			assertAttributes(t, rec.spans(t, n+1)[n], served(rdb, "publish", "reports", heardBy(n))...)
			readyRaw(t, rdb.Subscribe(ctx, "reports"))
		}
	})
}

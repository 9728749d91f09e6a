// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"errors"
	"io"

	"github.com/redis/go-redis/v9"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
)

// The ways to use this library.
const (
	Library        = "tracedpubsub"
	LibraryDropped = "tracedpubsub, metrics dropped by a view"
	LibraryHook    = "tracedpubsub hook"
	LibraryBatch   = "tracedpubsub hook, one span for the batch"

	LibraryAccounting = "tracedpubsub WithAccounting"

	LibraryProcess   = "tracedpubsub Process"
	LibraryChannel   = "tracedpubsub Channel"
	LibraryReceive   = "tracedpubsub ReceiveMessage"
	LibraryFromRedis = "tracedpubsub FromRedis"
)

func (e *Env) options(s Setting) []tracedpubsub.Option {
	return []tracedpubsub.Option{
		tracedpubsub.WithTracerProvider(e.tracerProvider(s)),
		tracedpubsub.WithMeterProvider(e.meterProvider(s)),
		tracedpubsub.WithPropagators(w3c),
	}
}

// connectLibrary calls Publish and PublishTo.
func connectLibrary(extra ...tracedpubsub.Option) func(*Env, Setting) (*publishing, error) {
	return func(e *Env, s Setting) (*publishing, error) {
		rdb := e.client()
		client := tracedpubsub.Wrap(rdb, append(e.options(s), extra...)...)
		return &publishing{
			publish: func(ctx context.Context, channel string, payload any) error {
				return client.Publish(ctx, channel, payload).Err()
			},
			batch: func(ctx context.Context, channels []string, payload any) error {
				pipe := rdb.Pipeline()
				for _, channel := range channels {
					client.PublishTo(ctx, pipe, channel, payload)
				}
				_, err := pipe.Exec(ctx)
				return err
			},
			close: rdb.Close,
		}, nil
	}
}

func connectDropped(e *Env, s Setting) (*publishing, error) {
	return connectLibrary(tracedpubsub.WithMeterProvider(e.dropped))(e, s)
}

func connectAccounting(e *Env, s Setting) (*publishing, error) {
	return connectLibrary(tracedpubsub.WithAccounting())(e, s)
}

// connectSilently makes a publisher for messages to receive, which measures nothing itself.
func connectSilently(e *Env, s Setting) (*publishing, error) {
	return connectLibrary(
		tracedpubsub.WithAccounting(),
		tracedpubsub.WithTracerProvider(tracenoop.NewTracerProvider()),
		tracedpubsub.WithMeterProvider(metricnoop.NewMeterProvider()),
	)(e, s)
}

// connectHook instruments the client.
func connectHook(extra ...tracedpubsub.Option) func(*Env, Setting) (*publishing, error) {
	return func(e *Env, s Setting) (*publishing, error) {
		rdb := e.client()
		all := func(string) bool { return true }
		if err := tracedpubsub.Instrument(rdb, all, append(e.options(s), extra...)...); err != nil {
			return nil, errors.Join(err, rdb.Close())
		}
		return publishThrough(rdb), nil
	}
}

func connectBatchHook(e *Env, s Setting) (*publishing, error) {
	return connectHook(tracedpubsub.WithBatchSpanOnly())(e, s)
}

func libraryMessage(e *Env, s Setting) (string, error) {
	b, err := tracedpubsub.Encode(e.context(s), s.Payload(), e.options(s)...)
	return string(b), err
}

func subscribeLibrary(rdb *redis.Client, e *Env, s Setting, name string, extra ...tracedpubsub.Option) *tracedpubsub.PubSub {
	client := tracedpubsub.Wrap(rdb, append(e.options(s), extra...)...)
	if s.Channels > 1 {
		return client.PSubscribe(context.Background(), name)
	}
	return client.Subscribe(context.Background(), name)
}

// receiveLibrary receives in one of the ways of a PubSub of this library.
func receiveLibrary(drain func(sub *tracedpubsub.PubSub, n int, handle func(string)), extra ...tracedpubsub.Option) func(*Env, Setting, string) (*subscription, error) {
	return func(e *Env, s Setting, name string) (*subscription, error) {
		rdb := e.client()
		sub := subscribeLibrary(rdb, e, s, name, extra...)
		return &subscription{
			drain: func(n int, handle func(string)) { drain(sub, n, handle) },
			close: closing(sub, rdb),
		}, nil
	}
}

func receiveDropped(e *Env, s Setting, name string) (*subscription, error) {
	return receiveLibrary(drainMessages, tracedpubsub.WithMeterProvider(e.dropped))(e, s, name)
}

func drainMessages(sub *tracedpubsub.PubSub, n int, handle func(string)) {
	for _, m := range sub.Messages(context.Background()) {
		handle(m.Payload)
		if n--; n == 0 {
			return
		}
	}
}

func drainProcess(sub *tracedpubsub.PubSub, n int, handle func(string)) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	_ = sub.Process(ctx, func(_ context.Context, m *tracedpubsub.Message) error {
		handle(m.Payload)
		if n--; n == 0 {
			stop()
		}
		return nil
	})
}

func drainChannel(sub *tracedpubsub.PubSub, n int, handle func(string)) {
	channel := sub.Channel()
	for range n {
		m, ok := <-channel
		if !ok {
			return
		}
		_, span := m.Start(context.Background())
		handle(m.Payload)
		span.End()
	}
}

func drainReceive(sub *tracedpubsub.PubSub, n int, handle func(string)) {
	for range n {
		m, err := sub.ReceiveMessage(context.Background())
		if err != nil {
			return
		}
		_, span := m.Start(context.Background())
		handle(m.Payload)
		span.End()
	}
}

// receiveFromRedis decodes the messages that go-redis receives.
func receiveFromRedis(e *Env, s Setting, name string) (*subscription, error) {
	rdb := e.client()
	client := tracedpubsub.Wrap(rdb, e.options(s)...)
	sub := subscribeRaw(rdb, s, name)
	return &subscription{
		drain: func(n int, handle func(string)) {
			channel := sub.Channel()
			for range n {
				raw, ok := <-channel
				if !ok {
					return
				}
				m := client.FromRedis(raw)
				_, span := m.Start(context.Background())
				handle(m.Payload)
				span.End()
			}
		},
		close: closing(sub, rdb),
	}, nil
}

func closing(closers ...io.Closer) func() error {
	return func() (failed error) {
		for _, c := range closers {
			failed = errors.Join(failed, c.Close())
		}
		return failed
	}
}

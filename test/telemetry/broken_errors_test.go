// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// panickingError is an error whose methods panic.
type panickingError struct{}

func (panickingError) Error() string { panic(tracetest.ErrTest) }
func (panickingError) Is(error) bool { panic(tracetest.ErrTest) }
func (panickingError) As(any) bool   { panic(tracetest.ErrTest) }

// brokenErrors are errors whose methods panic.
var brokenErrors = []struct {
	name, reason      string
	err               error
	errorType, status string
}{
	{"nil pointer", "a function returns a variable of its own type of error", (*fs.PathError)(nil), "*fs.PathError", "<nil>"},
	{"panicking methods", "an error may have any methods", panickingError{}, "github.com/tracedpubsub/tracedpubsub/test/telemetry.panickingError", "%!v(PANIC=Error method: " + tracetest.ErrTest.Error() + ")"},
}

// A handler may return an error whose methods panic. It has failed, and the loop goes on.
func TestHandlerWithABrokenError(t *testing.T) {
	for _, row := range brokenErrors {
		t.Run(row.name, func(t *testing.T) {
			ctx, rec, metered := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
			rdb := redistest.Start(t).Client()
			var errs tracetest.ErrorLog
			client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), metered.Option(), errs.Option())
			sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
			tracetest.PublishRaw(t, rdb, "reports", "bad", "good")
			var got []string
			if err := sub.Process(ctx, func(_ context.Context, m *tracedpubsub.Message) error {
				if got = append(got, m.Payload); m.Payload == "bad" {
					return row.err
				}
				_ = sub.Close()
				return nil
			}); err != nil {
				t.Errorf("Process returned %v, want nil", err)
			}
			if len(got) != 2 {
				t.Errorf("%q were handled, want both messages: %s", got, row.reason)
			}
			spans := rec.Spans(t, 2)
			tracetest.AssertFailed(t, spans[0], row.errorType)
			if d := spans[0].Status().Description; d != row.status {
				t.Errorf("the status description is %q, want %q", d, row.status)
			}
			tracetest.AssertSucceeded(t, spans[1])
			if n := metered.Total(t, tracetest.ProcessDuration); n != 2 {
				t.Errorf("%d durations were recorded, want 2", n)
			}
			assertReportsPanic(t, errs.All(), "a method of an error", true)
		})
	}
}

// failing is a hook that sends nothing and returns an error.
type failing struct{ err error }

func (failing) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f failing) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(context.Context, redis.Cmder) error { return f.err }
}

func (f failing) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return f.err }
}

// A hook of the application may return such an error. The caller gets it as it is.
func TestPublishingWithABrokenError(t *testing.T) {
	for _, row := range brokenErrors {
		for _, way := range []struct {
			name, reason string
			publish      func(ctx context.Context, rdb *redis.Client, client *tracedpubsub.Client) error
			hooked       bool
			spans        int // the last one has failed
		}{
			{"Client", "the library calls go-redis", func(ctx context.Context, _ *redis.Client, client *tracedpubsub.Client) error {
				return client.Publish(ctx, "reports", "hello").Err()
			}, false, 1},
			{"hook", "go-redis calls the library", func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
				return rdb.Publish(ctx, "reports", "hello").Err()
			}, true, 1},
			{"hook, pipeline", "the error is that of each message", func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
				pipe := rdb.Pipeline()
				pipe.Publish(ctx, "reports", "hello")
				_, err := pipe.Exec(ctx)
				return err
			}, true, 2},
			{"hook, pipeline of a relay", "the message has no command of the library's", func(ctx context.Context, rdb *redis.Client, _ *tracedpubsub.Client) error {
				pipe := rdb.Pipeline()
				pipe.Publish(ctx, "reports", tracetest.ForeignEnvelope)
				_, err := pipe.Exec(ctx)
				return err
			}, true, 1},
		} {
			t.Run(row.name+"/"+way.name, func(t *testing.T) {
				ctx, rec, rdb := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.UnreachableClient(t)
				var errs tracetest.ErrorLog
				if way.hooked {
					tracetest.Instrument(t, rdb, rec, errs.Option())
				}
				rdb.AddHook(failing{row.err})
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), errs.Option())
				if err := way.publish(ctx, rdb, client); err != row.err { //nolint:errorlint // its methods panic
					t.Errorf("the error is %T, want %T: %s", err, row.err, way.reason)
				}
				tracetest.AssertFailed(t, rec.Spans(t, way.spans)[way.spans-1], row.errorType)
				assertReportsPanic(t, errs.All(), "a method of an error", false)
			})
		}
	}
}

// go-redis panics for these payloads, in the call or when the pipeline is sent. The caller
// gets the same panic from there.
func TestBrokenPayloads(t *testing.T) {
	payloads := map[string]func() any{"nil pointer that cannot be marshaled": func() any { return (*url.URL)(nil) }}
	for _, row := range brokenErrors {
		payloads["error: "+row.name] = func() any { return &tracetest.FailingPayload{Err: row.err} }
	}
	rdb := redistest.Start(t).Client()
	for name, payload := range payloads {
		t.Run(name, func(t *testing.T) {
			ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
			client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
			want := tracetest.EndingOf(func() { rdb.Publish(ctx, "reports", payload()) })
			got := tracetest.EndingOf(func() { client.Publish(ctx, "reports", payload()) })
			if want.Returned || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("Publish has ended with %+v, want %+v", got, want)
			}
			tracetest.AssertFailed(t, rec.Spans(t, 1)[0], "panic")
		})
	}
}

// Encode returns the error of a payload as it is.
func TestEncodeWithABrokenError(t *testing.T) {
	for _, row := range brokenErrors {
		_, err := tracedpubsub.Encode(t.Context(), &tracetest.FailingPayload{Err: row.err})
		if got := errors.Unwrap(err); got != row.err { //nolint:errorlint // its methods panic
			t.Errorf("%s: the error wraps a %T, want a %T", row.name, got, row.err)
		}
	}
}

// A Message that a test of the application has made may have any error.
func TestMessageWithABrokenError(t *testing.T) {
	for _, row := range brokenErrors {
		m := &tracedpubsub.Message{Channel: "reports", Err: row.err}
		_, span := m.Start(t.Context())
		span.End()
	}
}

// commandless is a Publisher that returns no command, as that of a test does.
type commandless struct{}

func (commandless) Publish(context.Context, string, any) *redis.IntCmd { return nil }

func TestPublisherWithoutACommand(t *testing.T) {
	rec := tracetest.NewRecorder(t)
	tracetest.SetGlobalTracer(t, rec)
	if cmd := tracedpubsub.Publish(t.Context(), commandless{}, "reports", "hello"); cmd != nil {
		t.Errorf("the command is %v, want nil", cmd)
	}
	tracetest.AssertSucceeded(t, rec.Spans(t, 1)[0])
}

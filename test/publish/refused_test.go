// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/json"
	"errors"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

type (
	namedString string
	namedBytes  []byte
	namedInt    int
)

// refusedPayloads are payloads that go-redis refuses.
var refusedPayloads = []struct {
	name, reason string
	payload      any
}{
	{"struct", "has to be marshaled by the caller", tracetest.Unsupported{ID: 7}},
	{"*struct", "a pointer does not help", &tracetest.Unsupported{ID: 7}},
	{"map", "has to be marshaled by the caller", map[string]any{"id": 7}},
	{"slice", "only []byte is written", []string{"a"}},
	{"array", "is not a slice", [2]byte{1, 2}},
	{"json.RawMessage", "a named []byte without MarshalBinary", json.RawMessage(`{"id":7}`)},
	{"named string", "go-redis goes by the type, not by its kind", namedString("hello")},
	{"named bytes", "go-redis goes by the type, not by its kind", namedBytes("hello")},
	{"named int", "go-redis goes by the type, not by its kind", namedInt(7)},
	{"error", "go-redis does not call its method Error", tracetest.ErrTest},
	{"complex", "a number that Redis does not have", complex(1, 2)},
	{"*[]byte", "a pointer that go-redis does not follow", tracetest.Pointer([]byte("hello"))},
	{"*net.IP", "a pointer that go-redis does not follow", tracetest.Pointer(net.IPv4(192, 0, 2, 1))},
	{"**string", "go-redis follows one pointer", tracetest.Pointer(tracetest.Pointer("hello"))},
	{"marshaler by pointer, passed by value", "has no MarshalBinary", tracetest.PointerMarshaler{Text: "text"}},
	{"chan", "it cannot be written", make(chan int)},
	{"func", "it cannot be written", func() {}},
}

// assertNothingSent asserts that nothing was published on the channel of raw: it publishes
// a message, which must be the next one.
func assertNothingSent(t *testing.T, rdb *redis.Client, raw *redis.PubSub, channel string) {
	t.Helper()
	tracetest.AssertSent(t, rdb.Publish(tracetest.Context(t), channel, "the end"))
	if m := tracetest.NextRaw(t, raw); m.Payload != "the end" {
		t.Errorf("%q was sent, want nothing", m.Payload)
	}
}

// A payload that go-redis refuses is not sent. The command has the error of go-redis, and so
// has the span.
func TestRefusedPayloads(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		var errs tracetest.ErrorLog
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), errs.Option())
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		for i, row := range refusedPayloads {
			t.Run(row.name, func(t *testing.T) {
				want := rdb.Publish(ctx, "reports", row.payload).Err()
				cmd := client.Publish(ctx, "reports", row.payload)
				tracetest.AssertSameError(t, cmd.Err(), want)
				if cmd.Val() != 0 {
					t.Errorf("the value of the command is %d, want 0", cmd.Val())
				}
				assertNothingSent(t, rdb, raw, "reports")
				span := rec.Spans(t, i+1)[i]
				tracetest.AssertName(t, span, "publish reports")
				tracetest.AssertFailed(t, span, tracetest.PlainErrorType)
				if d := span.Status().Description; d != want.Error() {
					t.Errorf("the status description is %q, want %q: %s", d, want, row.reason)
				}
			})
		}
		errs.AssertNone(t)
	})
}

// queued publishes three payloads. The second one is refused.
func queued(publish func(payload any) *redis.IntCmd, refused any) []*redis.IntCmd {
	return []*redis.IntCmd{publish("before"), publish(refused), publish("after")}
}

// A payload that go-redis refuses fails its batch as it does without this library.
func TestRefusedPayloadInBatch(t *testing.T) {
	batches := []struct {
		name, reason string
		pipeline     func(*redis.Client) redis.Pipeliner
	}{
		{"Pipeline", "the usual batch", (*redis.Client).Pipeline},
		{"TxPipeline", "a batch in a transaction", (*redis.Client).TxPipeline},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, b := range batches {
			t.Run(b.name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
				raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, b.name))
				alone, with := b.pipeline(rdb), b.pipeline(rdb)
				wantCmds := queued(func(payload any) *redis.IntCmd { return alone.Publish(ctx, b.name, payload) }, tracetest.Unsupported{ID: 7})
				_, want := alone.Exec(ctx)
				cmds := queued(func(payload any) *redis.IntCmd { return client.PublishTo(ctx, with, b.name, payload) }, tracetest.Unsupported{ID: 7})
				_, err := with.Exec(ctx)
				tracetest.AssertSameError(t, err, want)
				for i := range cmds {
					tracetest.AssertSameError(t, cmds[i].Err(), wantCmds[i].Err())
				}
				assertNothingSent(t, rdb, raw, b.name)
				spans := rec.Spans(t, 3)
				for i, s := range spans {
					tracetest.AssertName(t, s, "create "+b.name)
					if i != 1 {
						tracetest.AssertSucceeded(t, s)
					}
				}
				tracetest.AssertFailed(t, spans[1], tracetest.PlainErrorType)
			})
		}
	})
}

var marshalErrors = []struct {
	name, reason string
	err          error
	errorType    string
}{
	{"plain", "an error of errors.New", tracetest.ErrTest, tracetest.PlainErrorType},
	{"typed", "errors.As finds the type of the caller", tracetest.TypedError{}, tracetest.TypedErrorType},
	{"joined", "more than one error", errors.Join(tracetest.ErrTest, tracetest.TypedError{}), "*errors.joinError"},
}

func TestFailingMarshalBinary(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range marshalErrors {
			t.Run(row.name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
				raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, row.name))
				want := rdb.Publish(ctx, row.name, &alwaysFailing{row.err}).Err()
				payload := &tracetest.FailingPayload{Err: row.err}
				err := client.Publish(ctx, row.name, payload).Err()
				tracetest.AssertSameError(t, err, want)
				if !errors.Is(err, row.err) {
					t.Errorf("%v is not %v: %s", err, row.err, row.reason)
				}
				if payload.Calls != 1 {
					t.Errorf("MarshalBinary was called %d times, want once: the second call succeeds, and would send the payload without an envelope", payload.Calls)
				}
				assertNothingSent(t, rdb, raw, row.name)
				tracetest.AssertFailed(t, rec.Spans(t, 1)[0], row.errorType)
			})
		}
	})
}

// alwaysFailing is for go-redis alone, which may call MarshalBinary again.
type alwaysFailing struct{ err error }

func (f *alwaysFailing) MarshalBinary() ([]byte, error) { return nil, f.err }

func TestFailingMarshalBinaryInBatch(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range marshalErrors {
			t.Run(row.name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
				raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, row.name))
				pipe, payload := rdb.Pipeline(), &tracetest.FailingPayload{Err: row.err}
				cmds := queued(func(payload any) *redis.IntCmd { return client.PublishTo(ctx, pipe, row.name, payload) }, payload)
				if _, err := pipe.Exec(ctx); !errors.Is(err, row.err) {
					t.Errorf("Exec returned %v, want %v: %s", err, row.err, row.reason)
				}
				if err := cmds[1].Err(); !errors.Is(err, row.err) {
					t.Errorf("the command has %v, want %v", err, row.err)
				}
				if payload.Calls != 1 {
					t.Errorf("MarshalBinary was called %d times, want once", payload.Calls)
				}
				assertNothingSent(t, rdb, raw, row.name)
				tracetest.AssertFailed(t, rec.Spans(t, 3)[1], row.errorType)
			})
		}
	})
}

func TestPanickingMarshalBinary(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		payload := &tracetest.FailingPayload{Panic: tracetest.ErrTest}
		got := tracetest.EndingOf(func() { client.Publish(ctx, "reports", payload) })
		if want := (tracetest.Ending{Panicked: tracetest.ErrTest}); got != want {
			t.Errorf("Publish has ended with %+v, want %+v", got, want)
		}
		tracetest.AssertFailed(t, rec.Spans(t, 1)[0], "panic")
		assertNothingSent(t, rdb, raw, "reports")
		tracetest.AssertSent(t, client.Publish(ctx, "reports", "works after a panic"))
	})
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"encoding/json"
	"errors"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

type (
	report      struct{ ID int }
	namedString string
	namedBytes  []byte
	namedInt    int
)

// refusedPayloads are payloads that go-redis refuses.
var refusedPayloads = []struct {
	name, reason string
	payload      any
}{
	{"struct", "is to be marshalled first", report{7}},
	{"*struct", "a pointer does not help", &report{7}},
	{"map", "is to be marshalled first", map[string]any{"id": 7}},
	{"slice", "only []byte is written", []string{"a"}},
	{"array", "is no slice", [2]byte{1, 2}},
	{"json.RawMessage", "a named []byte, and no BinaryMarshaler", json.RawMessage(`{"id":7}`)},
	{"named string", "go-redis goes by the type, not by its kind", namedString("hello")},
	{"named bytes", "go-redis goes by the type, not by its kind", namedBytes("hello")},
	{"named int", "go-redis goes by the type, not by its kind", namedInt(7)},
	{"error", "has a text, and is not asked for it", errHandler},
	{"complex", "a number that Redis does not have", complex(1, 2)},
	{"*[]byte", "a pointer that go-redis does not follow", new([]byte("hello"))},
	{"*net.IP", "a pointer that go-redis does not follow", new(net.IPv4(192, 0, 2, 1))},
	{"**string", "go-redis follows one pointer", new(new("hello"))},
	{"marshaler by pointer, passed by value", "has no MarshalBinary", pointerMarshaler{"text"}},
	{"chan", "nothing that can be written", make(chan int)},
	{"func", "nothing that can be written", func() {}},
}

// assertNothingSent asserts that nothing was published on the channel of raw: the
// next message that comes is one that is published here.
func assertNothingSent(t *testing.T, rdb *redis.Client, raw *redis.PubSub, channel string) {
	t.Helper()
	assertSent(t, rdb.Publish(testContext(t), channel, "the end"))
	if m := nextRaw(t, raw); m.Payload != "the end" {
		t.Errorf("%q was sent, want nothing", m.Payload)
	}
}

// assertSameError asserts that err is what go-redis alone says.
func assertSameError(t *testing.T, err, want error) {
	t.Helper()
	if err == nil || want == nil || err.Error() != want.Error() {
		t.Errorf("error is %v, want %v, as go-redis has it", err, want)
	}
}

// plainErrorType is the error.type of an error that fmt.Errorf or errors.New has
// made: what go-redis refuses a payload with.
const plainErrorType = "*errors.errorString"

func TestRefusedPayloads(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		var told errorLog
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), told.option())
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))
		for i, row := range refusedPayloads {
			t.Run(row.name, func(t *testing.T) {
				want := rdb.Publish(ctx, "reports", row.payload).Err()
				cmd := client.Publish(ctx, "reports", row.payload)
				assertSameError(t, cmd.Err(), want)
				if cmd.Val() != 0 {
					t.Errorf("the value of the command is %d, want 0", cmd.Val())
				}
				assertNothingSent(t, rdb, raw, "reports")
				span := rec.spans(t, i+1)[i]
				assertName(t, span, "publish reports")
				assertFailed(t, span, plainErrorType)
				if d := span.Status().Description; d != want.Error() {
					t.Errorf("the status says %q, want %q: %s", d, want, row.reason)
				}
			})
		}
		told.assertNone(t)
	})
}

// queued is a batch of three publishes, the second of which has a payload that is
// refused.
func queued(publish func(payload any) *redis.IntCmd, refused any) []*redis.IntCmd {
	return []*redis.IntCmd{publish("before"), publish(refused), publish("after")}
}

// A payload that is refused fails its batch as it does without this package.
func TestRefusedPayloadInBatch(t *testing.T) {
	batches := []struct {
		name, reason string
		pipeline     func(*redis.Client) redis.Pipeliner
	}{
		{"Pipeline", "the usual batch", (*redis.Client).Pipeline},
		{"TxPipeline", "a batch in a transaction", (*redis.Client).TxPipeline},
	}
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, b := range batches {
			t.Run(b.name, func(t *testing.T) {
				ctx, rec := testContext(t), newRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
				raw := readyRaw(t, rdb.Subscribe(ctx, b.name))
				alone, with := b.pipeline(rdb), b.pipeline(rdb)
				wantCmds := queued(func(payload any) *redis.IntCmd { return alone.Publish(ctx, b.name, payload) }, report{7})
				_, want := alone.Exec(ctx)
				cmds := queued(func(payload any) *redis.IntCmd { return client.PublishTo(ctx, with, b.name, payload) }, report{7})
				_, err := with.Exec(ctx)
				assertSameError(t, err, want)
				for i := range cmds {
					assertSameError(t, cmds[i].Err(), wantCmds[i].Err())
				}
				assertNothingSent(t, rdb, raw, b.name)
				spans := rec.spans(t, 3)
				for i, s := range spans {
					assertName(t, s, "create "+b.name)
					if i != 1 {
						assertSucceeded(t, s)
					}
				}
				assertFailed(t, spans[1], plainErrorType)
			})
		}
	})
}

// failing is a payload whose MarshalBinary fails the first time only, and counts.
type failing struct {
	err   error
	panic any
	asked int
}

func (f *failing) MarshalBinary() ([]byte, error) {
	f.asked++
	if f.asked > 1 {
		return []byte("it works now"), nil
	}
	if f.panic != nil {
		panic(f.panic)
	}
	return nil, f.err
}

var marshalErrors = []struct {
	name, reason string
	err          error
	errorType    string
}{
	{"plain", "an error of errors.New", errHandler, plainErrorType},
	{"typed", "the caller's own type is to be found again", handlerError{}, handlerErrorType},
	{"joined", "more than one error", errors.Join(errHandler, handlerError{}), "*errors.joinError"},
}

func TestFailingMarshalBinary(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range marshalErrors {
			t.Run(row.name, func(t *testing.T) {
				ctx, rec := testContext(t), newRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
				raw := readyRaw(t, rdb.Subscribe(ctx, row.name))
				want := rdb.Publish(ctx, row.name, &alwaysFailing{row.err}).Err()
				payload := &failing{err: row.err}
				err := client.Publish(ctx, row.name, payload).Err()
				assertSameError(t, err, want)
				if !errors.Is(err, row.err) {
					t.Errorf("%v is not %v: %s", err, row.err, row.reason)
				}
				if payload.asked != 1 {
					t.Errorf("MarshalBinary was asked %d times, want once: it might answer, and go out bare", payload.asked)
				}
				assertNothingSent(t, rdb, raw, row.name)
				assertFailed(t, rec.spans(t, 1)[0], row.errorType)
			})
		}
	})
}

// alwaysFailing is for go-redis alone, which may try again.
type alwaysFailing struct{ err error }

func (f *alwaysFailing) MarshalBinary() ([]byte, error) { return nil, f.err }

func TestFailingMarshalBinaryInBatch(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range marshalErrors {
			t.Run(row.name, func(t *testing.T) {
				ctx, rec := testContext(t), newRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
				raw := readyRaw(t, rdb.Subscribe(ctx, row.name))
				pipe, payload := rdb.Pipeline(), &failing{err: row.err}
				cmds := queued(func(payload any) *redis.IntCmd { return client.PublishTo(ctx, pipe, row.name, payload) }, payload)
				if _, err := pipe.Exec(ctx); !errors.Is(err, row.err) {
					t.Errorf("Exec returned %v, want %v: %s", err, row.err, row.reason)
				}
				if err := cmds[1].Err(); !errors.Is(err, row.err) {
					t.Errorf("the command has %v, want %v", err, row.err)
				}
				if payload.asked != 1 {
					t.Errorf("MarshalBinary was asked %d times, want once", payload.asked)
				}
				assertNothingSent(t, rdb, raw, row.name)
				assertFailed(t, rec.spans(t, 3)[1], row.errorType)
			})
		}
	})
}

func TestPanickingMarshalBinary(t *testing.T) {
	onEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := testContext(t), newRecorder(t)
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
		raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))
		payload := &failing{panic: errHandler}
		got := endingOf(func() { client.Publish(ctx, "reports", payload) })
		if want := (ending{panicked: errHandler}); got != want {
			t.Errorf("Publish has ended with %+v, want %+v", got, want)
		}
		assertFailed(t, rec.spans(t, 1)[0], "panic")
		assertNothingSent(t, rdb, raw, "reports")
		assertSent(t, client.Publish(ctx, "reports", "works after a panic, too"))
	})
}

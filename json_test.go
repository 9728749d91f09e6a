// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

type order struct {
	ID   int      `json:"id"`
	Tags []string `json:"tags,omitempty"`
	Note string   `json:"note,omitempty"`
}

// textual marshals to a JSON string by itself.
type textual struct{ text string }

func (v textual) MarshalText() ([]byte, error) { return []byte(v.text), nil }

// What JSON publishes is the text of encoding/json, and Message.JSON gives the value back.
func TestJSON(t *testing.T) {
	rows := []struct {
		name, reason string
		value        any
		payload      string
	}{
		{"struct", "the usual payload", order{ID: 7, Tags: []string{"a"}}, `{"id":7,"tags":["a"]}`},
		{"slice", "a document as well", []int{1, 2}, `[1,2]`},
		{"map", "the keys are sorted", map[string]int{"b": 2, "a": 1}, `{"a":1,"b":2}`},
		{"HTML", "is escaped", order{Note: "<a&b>"}, `{"id":0,"note":"\u003ca\u0026b\u003e"}`},
		{"string", "is JSON, with quotes, and not the payload itself", "hello", `"hello"`},
		{"text that is JSON", "is a string of JSON", `{"id":7}`, `"{\"id\":7}"`},
		{"number", "is its digits", 1.5, `1.5`},
		{"bool", "is no 1 as go-redis would send", true, `true`},
		{"nil", "is no empty payload", nil, `null`},
		{"no UTF-8", "is replaced by encoding/json", "a\xff", `"a\ufffd"`},
		{"raw", "is compacted", json.RawMessage(` { "id" : 7 } `), `{"id":7}`},
		{"TextMarshaler", "what marshals to a string is JSON all the same", textual{"x y"}, `"x y"`},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		sub := tracetest.ReadySub(t, tracedpubsub.Subscribe(ctx, rdb, "orders"))
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				// Once in an envelope, and once as go-redis sends it.
				tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "orders", tracedpubsub.JSON(row.value)))
				tracetest.AssertSent(t, rdb.Publish(ctx, "orders", tracedpubsub.JSON(row.value)))
				for range 2 {
					m := tracetest.NextMessage(t, sub)
					if m.Payload != row.payload || m.Err != nil {
						t.Errorf("received %s, %v, want %s: %s", m.Payload, m.Err, row.payload, row.reason)
					}
					var got, want any
					if err := m.JSON(&got); err != nil {
						t.Error(err)
					}
					if err := json.Unmarshal([]byte(row.payload), &want); err != nil || !reflect.DeepEqual(got, want) {
						t.Errorf("JSON gives %v, want %v, %v", got, want, err)
					}
				}
			})
		}
	})
}

// A document of JSON is embedded in its envelope, for consumers of other languages.
func TestJSONIsEmbedded(t *testing.T) {
	got, err := tracedpubsub.Encode(t.Context(), tracedpubsub.JSON(order{ID: 7}))
	if want := `{"tracedpubsub":1,"size":8,"payload":{"id":7}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

type failingJSON struct{}

func (failingJSON) MarshalJSON() ([]byte, error) { return nil, tracetest.ErrTest }

// A value that cannot be marshaled is an error of the command, as with go-redis alone.
func TestJSONFails(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "orders"))
		hooked := tracetest.OtherClient(t, rdb)
		if err := tracedpubsub.Instrument(hooked, func(string) bool { return true }); err != nil {
			t.Fatal(err)
		}
		plain := tracedpubsub.Wrap(rdb, tracedpubsub.WithEnvelopeFilter(func(string) bool { return false }))
		for name, publish := range map[string]func(payload any) error{
			"go-redis": func(payload any) error { return rdb.Publish(ctx, "orders", payload).Err() },
			"Publish":  func(payload any) error { return tracedpubsub.Publish(ctx, rdb, "orders", payload).Err() },
			"hook":     func(payload any) error { return hooked.Publish(ctx, "orders", payload).Err() },
			"no envelope": func(payload any) error {
				return plain.Publish(ctx, "orders", payload).Err()
			},
			"pipeline": func(payload any) error {
				_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
					tracedpubsub.Publish(ctx, pipe, "orders", payload)
					return nil
				})
				return err
			},
		} {
			err := publish(tracedpubsub.JSON(make(chan int)))
			if _, ok := tracetest.As[*json.UnsupportedTypeError](err); !ok {
				t.Errorf("%s: the error is %v, want that of json.Marshal", name, err)
			}
			if err := publish(tracedpubsub.JSON(failingJSON{})); !errors.Is(err, tracetest.ErrTest) {
				t.Errorf("%s: the error is %v, want that of MarshalJSON", name, err)
			}
		}
		tracetest.PublishRaw(t, rdb, "orders", "end")
		if got := tracetest.NextRaw(t, raw).Payload; got != "end" {
			t.Errorf("published was %q", got)
		}
	})
	_, err := tracedpubsub.Encode(context.Background(), tracedpubsub.JSON(make(chan int)))
	if _, ok := tracetest.As[*json.UnsupportedTypeError](err); !ok || !strings.HasPrefix(err.Error(), "tracedpubsub: ") {
		t.Errorf("the error of Encode is %v, want that of json.Marshal in it", err)
	}
}

func TestMessageJSONFails(t *testing.T) {
	for _, tt := range []struct {
		name, reason, message string
		into                  any
		is                    error // nil: it has the type of as
		as                    func(error) bool
	}{
		{"no JSON", "text is no JSON", "hello", new(order), nil, isError[*json.SyntaxError]},
		{"empty", "nothing is no JSON", "", new(order), nil, isError[*json.SyntaxError]},
		{"two values", "a payload is one value", "1 2", new(int), nil, isError[*json.SyntaxError]},
		{"another type", "the value does not fit", `{"id":"7"}`, new(order), nil, isError[*json.UnmarshalTypeError]},
		{"no pointer", "a mistake of the caller", `{}`, order{}, nil, isError[*json.InvalidUnmarshalError]},
		{"later version", "the envelope itself would fit, as an empty order", `{"tracedpubsub":2,"payload":{"id":7}}`, new(order), tracedpubsub.ErrUnsupportedVersion, nil},
		{"malformed", "the envelope itself would fit, as an empty order", `{"tracedpubsub":1}`, new(order), tracedpubsub.ErrMalformedEnvelope, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := tracedpubsub.FromRedis(&redis.Message{Channel: "orders", Payload: tt.message})
			err := m.JSON(tt.into)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || tt.as != nil && !tt.as(err) {
				t.Fatalf("JSON returned %v: %s", err, tt.reason)
			}
			if !strings.HasPrefix(err.Error(), "tracedpubsub: ") {
				t.Errorf("the error is %q", err)
			}
		})
	}
	large := `{"tracedpubsub":1,"baggage":"` + strings.Repeat("x", 16_384) + `","payload":{"id":7}}`
	var got order
	m := tracedpubsub.FromRedis(&redis.Message{Channel: "orders", Payload: large})
	if err := m.JSON(&got); err != nil || got.ID != 7 || !errors.Is(m.Err, tracedpubsub.ErrCarrierTooLarge) {
		t.Errorf("with a carrier that is too large: %+v, %v, want the payload", got, err)
	}
}

func isError[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}

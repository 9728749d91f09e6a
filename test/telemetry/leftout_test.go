// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// extraField is W3C Trace Context, and one more field.
type extraField struct {
	propagation.TraceContext
	name, value string
}

func (e extraField) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	e.TraceContext.Inject(ctx, carrier)
	carrier.Set(e.name, e.value)
}

func (e extraField) Fields() []string { return append(e.TraceContext.Fields(), e.name) }

// A field that an envelope cannot hold is left out and reported. The message is sent with
// the other fields.
func TestFieldThatIsLeftOut(t *testing.T) {
	rows := []struct {
		name, reason string
		field        extraField
		sent         bool
		reported     string // in the report; "": there is none
	}{
		{"ordinary", "a field like others is sent", extraField{name: "x-tenant", value: "acme"}, true, ""},
		{"empty", "an empty value is left out and not reported", extraField{name: "x-tenant"}, false, ""},
		{"payload", "the name is that of the payload", extraField{name: "payload", value: "mine"}, false, `"payload"`},
		{"payload_base64", "the name is that of the payload", extraField{name: "payload_base64", value: "bWluZQ=="}, false, `"payload_base64"`},
		{"marker", "the name is that of the marker", extraField{name: "tracedpubsub", value: "2"}, false, `"tracedpubsub"`},
		{"size", "the name is that of the size", extraField{name: "size", value: "7"}, false, `"size"`},
		{"ts", "the name is reserved", extraField{name: "ts", value: "7"}, false, `"ts"`},
		{"src", "the name is reserved", extraField{name: "src", value: "me"}, false, `"src"`},
		{"seq", "the name is reserved", extraField{name: "seq", value: "7"}, false, `"seq"`},
		{"value that is no UTF-8", "JSON cannot hold it", extraField{name: "x-tenant", value: "\xff"}, false, `"x-tenant"`},
		{"name that is no UTF-8", "JSON cannot hold it", extraField{name: "x-\xff", value: "acme"}, false, `"x-\xff"`},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				var errs tracetest.ErrorLog
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithPropagators(row.field), errs.Option())
				raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, row.name))
				sub := tracetest.ReadySub(t, client.Subscribe(ctx, row.name))
				tracetest.AssertSent(t, client.Publish(ctx, row.name, "hello"))
				field := `,"` + row.field.name + `":"` + row.field.value + `"`
				if wire := tracetest.NextRaw(t, raw).Payload; strings.Contains(wire, field) != row.sent {
					t.Errorf("on the wire is %q, with %q: %v: %s", wire, field, !row.sent, row.reason)
				}
				for _, m := range sub.Messages(ctx) {
					if m.Payload != "hello" || m.Err != nil {
						t.Errorf("got %q, %v, want hello", m.Payload, m.Err)
					}
					break
				}
				spans := rec.Spans(t, 2)
				tracetest.AssertSucceeded(t, spans[0])
				tracetest.AssertParent(t, spans[1], spans[0])
				if row.reported == "" {
					errs.AssertNone(t)
					return
				}
				all := errs.All()
				if len(all) != 1 || !strings.HasPrefix(all[0].Error(), "tracedpubsub: ") || !strings.Contains(all[0].Error(), row.reported) {
					t.Errorf("the error handler got %v, want that %s was left out", all, row.reported)
				}
			})
		}
	})
}

// A carrier that is too large for readers is left out and reported. The payload is sent.
func TestCarrierTooLargeToSend(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		var errs tracetest.ErrorLog
		fat := extraField{name: "x-tenant", value: strings.Repeat("x", 16_384)}
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec), tracedpubsub.WithPropagators(fat), errs.Option())
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
		if got, want := tracetest.NextRaw(t, raw).Payload, `{"tracedpubsub":1,"payload":"hello"}`; got != want {
			t.Errorf("on the wire is %.200q, want %q", got, want)
		}
		errs.AssertOne(t, tracedpubsub.ErrCarrierTooLarge)
		tracetest.AssertSucceeded(t, rec.Spans(t, 1)[0])
	})
}

// A panic of the error handler does not reach the publisher.
func TestPanickingErrorHandler(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		var errs tracetest.ErrorLog
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec),
			tracedpubsub.WithPropagators(extraField{name: "payload", value: "mine"}),
			tracedpubsub.WithErrorHandler(func(err error) { errs.Handle(err); panic(tracetest.ErrTest) }))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		got := tracetest.EndingOf(func() { tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello")) })
		if want := (tracetest.Ending{Returned: true}); got != want {
			t.Errorf("Publish has ended with %+v, want %+v", got, want)
		}
		if m := tracetest.NextMessage(t, sub); m.Payload != "hello" {
			t.Errorf("got %q, want hello", m.Payload)
		}
		if n := len(errs.All()); n != 1 {
			t.Errorf("the error handler got %v, want one report", errs.All())
		}
		tracetest.AssertSucceeded(t, rec.Spans(t, 1)[0])
	})
}

// incomparable is a provider and a propagator of a type that cannot be compared with ==.
type incomparable struct {
	trace.TracerProvider
	propagation.TraceContext
	_ []int
}

func TestProvidersThatCannotBeCompared(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		p := incomparable{TracerProvider: rec}
		client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(p), tracedpubsub.WithPropagators(p))
		sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
		for i := range 2 {
			tracetest.AssertSent(t, client.Publish(ctx, "reports", "hello"))
			for range sub.Messages(ctx) {
				break
			}
			spans := rec.Spans(t, 2*(i+1))
			tracetest.AssertParent(t, spans[2*i+1], spans[2*i])
		}
	})
}

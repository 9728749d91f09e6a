// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

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

// A field that no envelope can hold stays behind; everything else goes its way.
func TestFieldThatIsLeftOut(t *testing.T) {
	rows := []struct {
		name, reason string
		field        extraField
		sent         bool
		says         string // the report; "": none
	}{
		{"ordinary", "a field like others is sent", extraField{name: "x-tenant", value: "acme"}, true, ""},
		{"empty", "an empty value says nothing, and is nothing to report", extraField{name: "x-tenant"}, false, ""},
		{"payload", "the payload has its place", extraField{name: "payload", value: "mine"}, false, `"payload"`},
		{"payload_base64", "the payload has its place", extraField{name: "payload_base64", value: "bWluZQ=="}, false, `"payload_base64"`},
		{"marker", "nobody else says what an envelope is", extraField{name: "tracedpubsub", value: "2"}, false, `"tracedpubsub"`},
		{"size", "readers go by it", extraField{name: "size", value: "7"}, false, `"size"`},
		{"ts", "reserved for later", extraField{name: "ts", value: "7"}, false, `"ts"`},
		{"src", "reserved for later", extraField{name: "src", value: "me"}, false, `"src"`},
		{"seq", "reserved for later", extraField{name: "seq", value: "7"}, false, `"seq"`},
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
				if row.says == "" {
					errs.AssertNone(t)
					return
				}
				all := errs.All()
				if len(all) != 1 || !strings.HasPrefix(all[0].Error(), "tracedpubsub: ") || !strings.Contains(all[0].Error(), row.says) {
					t.Errorf("the error handler got %v, want that %s was left out", all, row.says)
				}
			})
		}
	})
}

// A carrier that no reader would take is not sent; the payload is.
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

// An error handler that panics is not to take the publisher with it.
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

// incomparable is a provider, and a propagator, that == panics on.
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

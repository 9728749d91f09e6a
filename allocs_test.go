// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
)

// The numbers of allocations are exact, and part of what the package promises:
// the garbage collector is most of what an envelope can cost.

func TestAllocationsOfEncoding(t *testing.T) {
	c := Carrier{traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", baggage: "tenant=acme"}
	b3 := Carrier{others: []carrierField{{"x-b3-traceid", "1"}, {"x-b3-spanid", "2"}, {"b3", "3"}}}
	ready := make([]byte, 0, 256<<10)
	for _, tt := range []struct {
		name, reason string
		carrier      Carrier
		payload      string
	}{
		{"text", "the usual message", c, "hello"},
		{"escaped text", "escapes are written where they belong", c, strings.Repeat("say \"hi\"\n", 1000)},
		{"document", "its brackets are counted on the stack", c, strings.Repeat("[", 1000) + strings.Repeat("]", 1000)},
		{"binary", "base64 needs no second buffer", c, strings.Repeat("\xff\x00", 1000)},
		{"other fields", "they are sorted on the stack", b3, "hello"},
		{"large text", "whatever the size", c, strings.Repeat("the quick brown fox ", 3000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(100, func() {
				_, _ = appendEnvelope(ready, &tt.carrier, viewBytes(tt.payload))
			}); got != 0 {
				t.Errorf("%s: %v allocations, want 0", tt.reason, got)
			}
		})
	}
}

// TestAllocationsOfLargePayloads is about payloads too large for the memory of an
// encoder to be kept, where a second copy would be allocated each time.
func TestAllocationsOfLargePayloads(t *testing.T) {
	for name, payload := range map[string]any{
		"text":     strings.Repeat("the quick brown fox ", 10_000),
		"document": "[" + strings.Repeat("1234567,", 25_000) + "0]",
	} {
		t.Run(name, func(t *testing.T) {
			if got := fewestAllocs(func() { _, _ = Encode(t.Context(), payload) }); got != 1 {
				t.Errorf("%v allocations, want the one for what is returned", got)
			}
		})
	}
}

func TestAllocationsOfDecoding(t *testing.T) {
	const parent = `{"tracedpubsub":1,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`
	fields := []string{"traceparent", "tracestate", "baggage"}
	for _, tt := range []struct {
		name, reason, message string
		fields                []string
		want                  float64
	}{
		{"document by its size", "it is cut out of the message", parent + `,"size":7,"payload":{"a":1}}`, fields, 0},
		{"document without size", "likewise", parent + `,"payload":{"a":[1,{}]}}`, fields, 0},
		{"text", "likewise, and so are the fields", parent + `,"baggage":"tenant=acme","payload":"hello"}`, fields, 0},
		{"large text", "whatever the size", parent + `,"payload":"` + strings.Repeat("the quick brown fox ", 3000) + `"}`, fields, 0},
		{"escaped text", "one for the text", parent + `,"payload":"` + strings.Repeat(`say \"hi\"\n`, 1000) + `"}`, fields, 1},
		{"escaped field", "one for the field", parent + `,"baggage":"\u0061","payload":"hello"}`, fields, 1},
		{"base64", "one for the bytes", parent + `,"payload_base64":"//79"}`, fields, 1},
		{"other fields", "one for all of them", parent + `,"b3":"1","x-b3-traceid":"2","payload":"hello"}`, []string{"traceparent", "b3", "x-b3-traceid"}, 1},
		{"malformed", "nothing is made of it", parent + `,"payload":"hello"`, fields, 0},
		{"later version", "nothing is made of it", `{"tracedpubsub":2,"traceparent":"p"}`, fields, 0},
		{"foreign document", "but its fields are read", `{"data":{"any":[1,2]},"traceparent":"p"}`, fields, 0},
		{"foreign text", "not even looked at", "hello", fields, 0},
		{"deep", "as deep as a writer of ours writes", parent + `,"payload":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, fields, 0},
		{"too large a carrier", "it is not copied to be thrown away", `{"baggage":"` + strings.Repeat(`\u0061`, 20000) + `"}`, fields, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Carrier
			var payload string
			if got := testing.AllocsPerRun(100, func() {
				c = Carrier{}
				payload, _ = decode(tt.message, tt.fields, &c)
			}); got != tt.want {
				t.Errorf("%s: %v allocations, want %v (payload %.50q)", tt.reason, got, tt.want, payload)
			}
		})
	}
}

func TestAllocationsOfPayloadBytes(t *testing.T) {
	scratch := make([]byte, 0, 64)
	for _, tt := range []struct {
		name    string
		payload any
	}{
		{"string", strings.Repeat("x", 1000)},
		{"bytes", make([]byte, 1000)},
		{"number", 1234567890},
		{"float", 1.5},
	} {
		if got := testing.AllocsPerRun(100, func() { _, _ = payloadBytes(scratch, tt.payload) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, got)
		}
	}
}

// What a hook has nothing to do with costs nothing.
func TestAllocationsOfHook(t *testing.T) {
	ctx := context.Background()
	h := NewHook(func(channel string) bool { return channel != "plain" })
	process := h.ProcessHook(func(context.Context, redis.Cmder) error { return nil })
	pipeline := h.ProcessPipelineHook(func(context.Context, []redis.Cmder) error { return nil })
	other, plain := redis.NewStatusCmd(ctx, "set", "publish", "hello"), redis.NewIntCmd(ctx, "publish", "plain", "hello")
	others := []redis.Cmder{other, other}
	for _, tt := range []struct {
		name, reason string
		run          func()
	}{
		{"other command", "most commands are", func() { _ = process(ctx, other) }},
		{"channel that is not traced", "its commands are none of ours", func() { _ = process(ctx, plain) }},
		{"other pipeline", "most pipelines are", func() { _ = pipeline(ctx, others) }},
	} {
		if got := testing.AllocsPerRun(100, tt.run); got != 0 {
			t.Errorf("%s: %v allocations, want 0: %s", tt.name, got, tt.reason)
		}
	}
}

// A pipeline that publishes on other channels alone gets the memory to look at it from
// the pool, and leaves nothing of its own there.
func TestMemoryOfPipelinesThatAreNotTraced(t *testing.T) {
	ctx := context.Background()
	h := NewHook(func(channel string) bool { return channel == "reports" })
	pipeline := h.ProcessPipelineHook(func(_ context.Context, sent []redis.Cmder) error { return nil })
	plain := []redis.Cmder{redis.NewIntCmd(ctx, "publish", "plain", "hello"), redis.NewIntCmd(ctx, "publish", "plain", "hello")}
	if got := fewestAllocs(func() { _ = pipeline(ctx, plain) }); got != 2 {
		t.Errorf("%v allocations, want 2: the batch, and where its messages would be", got)
	}
	for _, cmds := range [][]redis.Cmder{plain, {redis.NewIntCmd(ctx, "publish", "reports", "hello"), plain[0]}} {
		_ = pipeline(ctx, cmds)
		kept := outgoings.Get().(*[]outgoing)
		for i, m := range (*kept)[:cap(*kept)] {
			if m.cmd != nil || m.channel != "" {
				t.Errorf("the pool has command %d of %d: %v", i, len(cmds), m.cmd)
			}
		}
	}
}

// In the usual context, to encode costs the message that is returned, and to decode
// nothing but a payload that is not in the message as it stands.
func TestAllocationsOfEncodeAndDecode(t *testing.T) {
	ctx := trace.ContextWithSpanContext(context.Background(), remote)
	for _, p := range samplePayloads {
		t.Run(p.name, func(t *testing.T) {
			var message []byte
			if got := fewestAllocs(func() { message, _ = Encode(ctx, p.payload) }); got != 1 {
				t.Errorf("%v allocations to encode, want 1", got)
			}
			var e Envelope
			text, want := string(message), float64(0)
			if p.name == "escaped text" || p.name == "binary" {
				want = 1
			}
			if got := fewestAllocs(func() { e, _ = Decode(text) }); got != want {
				t.Errorf("%v allocations to decode, want %v", got, want)
			}
			if producer := trace.SpanContextFromContext(e.Extract(context.Background())); !producer.Equal(remote) {
				t.Errorf("the context is %v, want %v", producer, remote)
			}
		})
	}
}

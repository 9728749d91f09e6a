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

// A pipeline that publishes on other channels alone costs nothing but the batch, and no
// pipeline leaves its commands in the pool.
func TestMemoryOfPipelines(t *testing.T) {
	ctx := context.Background()
	h := NewHook(func(channel string) bool { return channel == "reports" })
	pipeline := h.ProcessPipelineHook(func(_ context.Context, sent []redis.Cmder) error { return nil })
	plain := []redis.Cmder{redis.NewIntCmd(ctx, "publish", "plain", "hello"), redis.NewIntCmd(ctx, "publish", "plain", "hello")}
	if got := fewestAllocs(func() { _ = pipeline(ctx, plain) }); got != 1 {
		t.Errorf("%v allocations, want 1: the batch", got)
	}
	for _, cmds := range [][]redis.Cmder{plain, {redis.NewIntCmd(ctx, "publish", "reports", "hello"), plain[0]}} {
		_ = pipeline(ctx, cmds)
		kept := publishCommands.Get().(*[]publishCommand)
		for i, m := range (*kept)[:cap(*kept)] {
			if m.Caller != nil || m.channel != "" {
				t.Errorf("the pool has command %d of %d: %v", i, len(cmds), m.Caller)
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

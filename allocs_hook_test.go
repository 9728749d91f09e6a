// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// A hook allocates nothing for a command that it does not trace.
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
		{"other command", "most commands are of this kind", func() { _ = process(ctx, other) }},
		{"channel that is not traced", "the hook leaves its commands alone", func() { _ = process(ctx, plain) }},
		{"other pipeline", "most pipelines are of this kind", func() { _ = pipeline(ctx, others) }},
	} {
		if got := testing.AllocsPerRun(100, tt.run); got != 0 {
			t.Errorf("%s: %v allocations, want 0: %s", tt.name, got, tt.reason)
		}
	}
}

// A pipeline that publishes on channels that are not traced costs the batch alone. No
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

// To publish through a hook costs no more than Publish: the argument is part of the
// substitute that the hook sends.
func TestAllocationsOfHookedPublishing(t *testing.T) {
	ctx := context.Background()
	cmd := redis.NewIntCmd(ctx, "publish", "reports", "hello")
	assertAllocs(t, 3, producerSpan, func(c *config) func() {
		process := newHook(c).ProcessHook(func(_ context.Context, sent redis.Cmder) error {
			reply(sent)
			return nil
		})
		return func() { _ = process(ctx, cmd) }
	})
}

// In a pipeline a message costs the same. It cannot share memory with the others, since
// the caller may keep one command only.
func TestAllocationsOfHookedPipelines(t *testing.T) {
	const few, many = 2, 5 // so few that in some run no pool drops what it was given
	ctx := context.Background()
	cmds := make([]redis.Cmder, many)
	for i := range cmds {
		cmds[i] = redis.NewIntCmd(ctx, "publish", "reports", "hello")
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	tracer := provider.Tracer("")
	span := fewestAllocs(func() { producerSpan(ctx, tracer).End() })
	for _, batchSpanOnly := range []bool{false, true} {
		c := newConfig(WithTracerProvider(provider), WithPropagators(w3c))
		want := (many - few) * (span + 3) // the name of the span, the bytes of the envelope, and the substitute
		if c.batchSpanOnly = batchSpanOnly; batchSpanOnly {
			want = (many - few) * 2
		}
		process := newHook(c).ProcessPipelineHook(func(_ context.Context, sent []redis.Cmder) error {
			for _, cmd := range sent {
				reply(cmd)
			}
			return nil
		})
		got := fewestAllocs(func() { _ = process(ctx, cmds) }) - fewestAllocs(func() { _ = process(ctx, cmds[:few]) })
		if got != want {
			t.Errorf("one span for the batch %t: %v allocations for %d messages more, want %v", batchSpanOnly, got, many-few, want)
		}
	}
}

func newHook(c *config) redis.Hook {
	return &hook{&tracing{cfg: c, channels: func(string) bool { return true }}, standalone}
}

func reply(sent redis.Cmder) { sent.(*redis.IntCmd).SetVal(1) }

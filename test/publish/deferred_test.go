// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// gate is a hook that holds every command until it is opened.
type gate struct {
	opened chan struct{}
	open   sync.Once
	mu     sync.Mutex
	late   bool // it was not opened in time
}

func newGate(t *testing.T, rdb *redis.Client) *gate {
	t.Helper()
	g := &gate{opened: make(chan struct{})}
	t.Cleanup(g.Open)
	rdb.AddHook(g)
	return g
}

func (g *gate) Open() { g.open.Do(func() { close(g.opened) }) }

func (g *gate) wait() {
	select {
	case <-g.opened:
	case <-time.After(tracetest.Patience):
		g.mu.Lock()
		defer g.mu.Unlock()
		g.late = true
		g.Open() // one wait is enough
	}
}

func (g *gate) wasLate() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.late
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		g.wait()
		return next(ctx, cmd)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		g.wait()
		return next(ctx, cmds)
	}
}

// Reading a deferred command waits for its batch, so the library must not read it.
func TestPublishDoesNotWaitForTheBatch(t *testing.T) {
	rows := []struct {
		name, reason string
		options      *redis.AutoPipelineOptions
	}{
		{"half-duplex", "batches are sent one by one", nil},
		{"full-duplex", "commands are sent on a connection of their own", nil},
		{"unordered", "batches are sent at the same time", &redis.AutoPipelineOptions{Unordered: true, MaxConcurrentBatches: 4}},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				if row.name == "full-duplex" {
					row.options = tracetest.FullDuplex(t)
				}
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, row.name))
				own := tracetest.OtherClient(t, rdb)
				gate := newGate(t, own)
				ap, err := own.AsyncAutoPipelineWithOptions(row.options)
				if err != nil {
					t.Fatal(err)
				}
				client := tracedpubsub.Wrap(own, tracedpubsub.WithTracerProvider(rec))

				const n = 50
				var cmds []*redis.IntCmd
				for i := range n {
					cmds = append(cmds, client.PublishTo(ctx, ap, row.name, i))
				}
				for _, s := range rec.Spans(t, n) {
					tracetest.AssertName(t, s, "create "+row.name)
					tracetest.AssertAttributes(t, s, tracetest.MessagingOn(own, "create", row.name)...)
					tracetest.AssertSucceeded(t, s)
				}
				if row.name != "full-duplex" { // there a hook cannot hold commands
					assertNothingSent(t, rdb, raw, row.name)
				}
				if gate.wasLate() {
					t.Fatalf("Publish has waited for the batch: %s", row.reason)
				}
				gate.Open()
				for i, cmd := range cmds {
					if got, err := cmd.Result(); got != 1 || err != nil {
						t.Errorf("command %d has %d, %v, want 1", i, got, err)
					}
				}
				for range n {
					tracetest.NextRaw(t, raw)
				}
				rec.Spans(t, n) // and no other for the batch
			})
		}
	})
}

// asynchronous is a publisher with a method IsBlocking.
type asynchronous struct {
	tracedpubsub.Publisher
	blocking bool
}

func (a asynchronous) IsBlocking() bool { return a.blocking }

// IsBlocking of any type of publisher says whether its commands are deferred.
func TestIsBlocking(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for name, row := range map[string]struct {
			publisher tracedpubsub.Publisher
			want      string
		}{
			"says no":  {asynchronous{rdb, false}, "create"},
			"says yes": {asynchronous{rdb, true}, "publish"},
			"no such":  {struct{ tracedpubsub.Publisher }{rdb}, "publish"},
		} {
			t.Run(name, func(t *testing.T) {
				ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
				tracetest.AssertSent(t, client.PublishTo(ctx, row.publisher, name, "hello"))
				tracetest.AssertName(t, rec.Spans(t, 1)[0], row.want+" "+name)
				tracetest.AssertAttributes(t, rec.Spans(t, 1)[0], tracetest.Messaging(row.want, name)...)
			})
		}
	})
}

// The error of a batch is on its commands, as go-redis has it. It is not on the create
// spans, which have ended.
func TestBatchThatFailsLater(t *testing.T) {
	ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
	rdb := tracetest.UnreachableClient(t)
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(rec))
	pipe := rdb.Pipeline()
	cmd := client.PublishTo(ctx, pipe, "reports", "hello")
	if _, err := pipe.Exec(ctx); err == nil || cmd.Err() == nil {
		t.Errorf("Exec returned %v, the command has %v, want errors", err, cmd.Err())
	}
	span := rec.Spans(t, 1)[0]
	tracetest.AssertAttributes(t, span, tracetest.MessagingOn(rdb, "create", "reports")...)
	tracetest.AssertSucceeded(t, span)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// payloadLog is a hook that keeps the payloads of SPUBLISH commands.
type payloadLog struct {
	mu       sync.Mutex
	payloads []string
}

func (w *payloadLog) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	payloads := w.payloads
	w.payloads = nil
	return payloads
}

func (w *payloadLog) keep(cmds ...redis.Cmder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cmd := range cmds {
		if args := cmd.Args(); len(args) == 3 && cmd.Name() == "spublish" {
			w.payloads = append(w.payloads, fmt.Sprint(args[2]))
		}
	}
}

func (w *payloadLog) DialHook(next redis.DialHook) redis.DialHook { return next }

func (w *payloadLog) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		w.keep(cmd)
		return next(ctx, cmd)
	}
}

func (w *payloadLog) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		w.keep(cmds...)
		return next(ctx, cmds)
	}
}

// rejecting is a hook that sends no pipeline.
type rejecting struct{ passThrough }

func (rejecting) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return tracetest.ErrTest }
}

// recordingHook is a hook that keeps the commands of pipelines.
type recordingHook struct {
	passThrough
	cmds []redis.Cmder
}

func (p *recordingHook) saw(cmd redis.Cmder) bool {
	for _, seen := range p.cmds {
		if seen == cmd {
			return true
		}
	}
	return false
}

func (p *recordingHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		p.cmds = append(p.cmds, cmds...)
		return next(ctx, cmds)
	}
}

// passThrough is a hook that does nothing.
type passThrough struct{}

func (passThrough) DialHook(next redis.DialHook) redis.DialHook { return next }

func (passThrough) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (passThrough) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// losing is a hook that loses the connection of the second command, as a Ring does that
// has lost a shard.
type losing struct{ passThrough }

func (losing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "client" {
			return next(ctx, cmds) // go-redis introduces itself, if the server is Redis 7.2 or later
		}
		if err := next(ctx, cmds[:1]); err != nil {
			return err
		}
		cmds[1].SetErr(io.ErrUnexpectedEOF)
		return io.ErrUnexpectedEOF
	}
}

// goroutineHook is a hook that goes on in another goroutine, as a hook with a deadline
// does.
type goroutineHook struct{ passThrough }

func (goroutineHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		done := make(chan error)
		go func() { done <- next(ctx, cmds) }()
		return <-done
	}
}

// auditing is a hook that publishes the payload of each command with three arguments.
type auditing struct {
	passThrough
	rdb *redis.Client
}

func (a auditing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) == 3 {
			a.rdb.Publish(ctx, "audit", args[2])
		}
		return next(ctx, cmd)
	}
}

// cloning is a hook that sends copies.
type cloning struct{ passThrough }

func (cloning) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		copies := slices.Clone(cmds)
		for i, cmd := range cmds {
			copies[i] = cmd.Clone()
		}
		return next(ctx, copies)
	}
}

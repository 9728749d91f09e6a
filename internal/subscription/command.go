// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// command is sent on a connection. A command that subscribes or unsubscribes is answered
// once for each name, in their order, or once with an error; a PING is answered once. An
// error names no topic, so that only the order tells which command it answers.
type command struct {
	op       string
	kind     Kind
	names    []string
	payload  []string // of a PING
	answered int      // how many of names
	sent     time.Time
	written  chan struct{} // closed when it is written; nil: nobody waits for that
}

const opPing = "ping"

func (c *command) subscribes() bool { return c.op == c.kind.subscribeOp() }

// commandsFor returns the commands that do op for names: one, or one for each name.
func commandsFor(op string, k Kind, names []string, oneByOne bool) []*command {
	switch {
	case len(names) == 0:
		return nil
	case !oneByOne:
		return []*command{{op: op, kind: k, names: names}}
	}
	commands := make([]*command, len(names))
	for i := range names {
		commands[i] = &command{op: op, kind: k, names: names[i : i+1]}
	}
	return commands
}

// write writes c to ps, which dials before the first command.
func (c *command) write(ctx context.Context, ps *redis.PubSub) error {
	switch c.op {
	case opPing:
		return ps.Ping(ctx, c.payload...)
	case subscribeOps[Channels]:
		return ps.Subscribe(ctx, c.names...)
	case subscribeOps[Patterns]:
		return ps.PSubscribe(ctx, c.names...)
	case subscribeOps[ShardChannels]:
		return ps.SSubscribe(ctx, c.names...)
	case unsubscribeOps[Channels]:
		return ps.Unsubscribe(ctx, c.names...)
	case unsubscribeOps[Patterns]:
		return ps.PUnsubscribe(ctx, c.names...)
	default:
		return ps.SUnsubscribe(ctx, c.names...)
	}
}

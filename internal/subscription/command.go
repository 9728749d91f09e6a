// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// command is a command that is sent on a connection. It is part of the state.
//
// The server answers a command that subscribes or unsubscribes once for each topic, in
// their order, or once with an error. It answers a command without topics, such as a PING,
// once. An error does not contain the topic, so only the order of the replies shows which
// command it answers.
type command struct {
	op       string
	kind     Kind
	names    []string // of the topics
	payload  []string // of a PING, or the name of a connection
	answered int      // the number of topics that the server has confirmed
	sent     time.Time
	written  chan struct{} // closed when it is written; nil: no call waits for that
	removes  bool          // Unsubscribe was called for the topics
}

const opPing = "ping"

func (c *command) subscribes() bool { return c.op == c.kind.subscribeOp() }

// commandsFor returns the commands that do op for topics: one command, or one for each topic.
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
	case opSetName:
		return ps.ClientSetName(ctx, c.payload[0])
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// copies is memory for what is sent in the place of commands. They go out together, and
// are forgotten together: so several of them get theirs in the same few pieces. These
// are small, for another hook that keeps one command, or one envelope, keeps its piece.
type copies struct {
	left      int // how many commands are not made yet
	args      []any
	commands  []redis.IntCmd
	envelopes []enveloped
	texts     []byte
}

const (
	// longestShared is the longest envelope that shares a piece. For longer ones an
	// allocation is little, next to the copying.
	longestShared = 1 << 10
	// sharedBytes and sharedCommands are how large a piece is at most.
	sharedBytes    = 8 << 10
	sharedCommands = 32
)

// piece is for how many commands the next piece is.
func (c *copies) piece() int { return min(c.left, sharedCommands) }

// arguments returns those of cmd, to be changed.
func (c *copies) arguments(cmd redis.Cmder) []any {
	if len(c.args) == 0 {
		c.args = make([]any, c.piece()*arguments)
	}
	args := append(c.args[:0:arguments], cmd.Args()...)
	c.args = c.args[arguments:]
	return args
}

// enveloped does what newEnveloped does.
func (c *copies) enveloped(message *wire.Writer) *enveloped {
	n, free := message.Len(), cap(c.texts)-len(c.texts)
	switch {
	case n > longestShared, n > free && c.left == 1:
		return newEnveloped(message)
	case n > free:
		c.texts = make([]byte, 0, min(n*c.left, sharedBytes))
	}
	if len(c.envelopes) == 0 {
		c.envelopes = make([]enveloped, c.piece())
	}
	e := &c.envelopes[0]
	c.envelopes = c.envelopes[1:]
	begin := len(c.texts)
	c.texts = message.AppendTo(c.texts)
	return e.hold(c.texts[begin:])
}

// unanswered is the value of a copy to which nothing has happened yet.
const unanswered = -1

// command makes a command like cmd with other arguments, or nil if it is of a type whose
// reply could not be given back.
func (c *copies) command(ctx context.Context, cmd redis.Cmder, args []any) redis.Cmder {
	piece := c.piece()
	c.left--
	switch cmd.(type) {
	case *redis.IntCmd:
		if len(c.commands) == 0 {
			c.commands = make([]redis.IntCmd, piece)
		}
		sent := &c.commands[0]
		c.commands = c.commands[1:]
		*sent = *redis.NewIntCmd(ctx, args...)
		sent.SetVal(unanswered)
		return sent
	case *redis.Cmd:
		return redis.NewCmd(ctx, args...)
	case *redis.RawCmd:
		return redis.NewRawCmd(ctx, args...)
	}
	return nil
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// PublishCommand is a command of the caller that publishes, with the substitute that is sent
// in its place.
//
// The caller may read the arguments of its command at any time, and may already use a
// command of an auto-pipeline. Therefore only the arguments of the command are read, and
// nothing is changed, until TakeReply sets the reply.
type PublishCommand struct {
	Caller redis.Cmder

	substitute redis.Cmder // nil: there is none
}

// Substitutable reports whether the command of the caller has a Go type whose reply can be set.
func (c *PublishCommand) Substitutable() bool {
	switch c.Caller.(type) {
	case *redis.IntCmd, *redis.Cmd, *redis.RawCmd:
		return true
	}
	return false
}

// SubstituteEnvelope makes a substitute that publishes envelope, as a [WireMessage]. It
// returns false if the command of the caller has a Go type whose reply cannot be set.
func (c *PublishCommand) SubstituteEnvelope(ctx context.Context, envelope string) bool {
	s := &substitute{message: WireMessage{envelope}}
	return c.send(ctx, s, &s.message)
}

// SubstitutePayload makes a substitute that publishes payload. It returns false in the same
// case as SubstituteEnvelope.
func (c *PublishCommand) SubstitutePayload(ctx context.Context, payload any) bool {
	return c.send(ctx, new(substitute), payload)
}

// substitute holds the parts of a substitute in one allocation.
type substitute struct {
	args    [arguments]any
	message WireMessage
	command redis.IntCmd // used if the caller's command is an IntCmd
}

// unanswered is the value of an IntCmd without a reply. Commands of other types then have
// the value nil.
const unanswered = -1

func (c *PublishCommand) send(ctx context.Context, s *substitute, payload any) bool {
	copy(s.args[:], c.Caller.Args())
	s.args[payloadArgument] = payload
	switch c.Caller.(type) {
	case *redis.IntCmd:
		s.command = *redis.NewIntCmd(ctx, s.args[:]...)
		s.command.SetVal(unanswered)
		c.substitute = &s.command
	case *redis.Cmd:
		c.substitute = redis.NewCmd(ctx, s.args[:]...)
	case *redis.RawCmd:
		c.substitute = redis.NewRawCmd(ctx, s.args[:]...)
	default:
		return false
	}
	return true
}

// Substituted reports whether there is a substitute.
func (c *PublishCommand) Substituted() bool { return c.substitute != nil }

// Sent returns the command that is sent: the substitute, or the caller's command if there is
// no substitute.
func (c *PublishCommand) Sent() redis.Cmder {
	if c.substitute != nil {
		return c.substitute
	}
	return c.Caller
}

// TakeReply copies the reply and the error of the substitute to the caller's command. It
// returns false if there is neither: the substitute was not sent then, and the caller's
// command is not changed.
func (c *PublishCommand) TakeReply() (answered bool) {
	if c.substitute == nil {
		return true // the caller's command itself was sent
	}
	switch from := c.substitute.(type) {
	case *redis.IntCmd:
		if answered = from.Val() != unanswered; answered {
			c.Caller.(*redis.IntCmd).SetVal(from.Val())
		}
	case *redis.Cmd:
		if answered = from.Val() != nil; answered {
			c.Caller.(*redis.Cmd).SetVal(from.Val())
		}
	case *redis.RawCmd:
		if answered = from.Val() != nil; answered {
			c.Caller.(*redis.RawCmd).SetVal(from.Val())
		}
	}
	if answered || c.substitute.Err() != nil {
		c.Caller.SetErr(c.substitute.Err())
		return true
	}
	return false
}

// Receivers returns the number of clients that got the message, from the reply of the
// substitute. ok is false if there is no such number.
func (c *PublishCommand) Receivers() (n int64, ok bool) {
	switch sent := c.substitute.(type) {
	case *redis.IntCmd:
		return sent.Val(), true
	case *redis.Cmd:
		n, err := sent.Int64()
		return n, err == nil
	}
	return 0, false
}

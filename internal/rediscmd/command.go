// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// PublishCommand is a command of the caller that publishes, and the substitute that is
// sent in its place, with another payload.
//
// The caller may read the arguments of its command at any time, and a command of an
// auto-pipeline may be in use. So the caller's command is not changed, and only its
// arguments are read, until TakeReply gives it the reply.
type PublishCommand struct {
	Caller redis.Cmder

	substitute redis.Cmder // nil: there is none
}

// SubstituteEnvelope makes a substitute that publishes envelope, as a [WireMessage]. It
// reports false if it cannot: then the caller's command is of a Go type to which no reply
// can be given.
func (c *PublishCommand) SubstituteEnvelope(ctx context.Context, envelope string) bool {
	s := &substitute{message: WireMessage{envelope}}
	return c.send(ctx, s, &s.message)
}

// SubstitutePayload makes a substitute that publishes payload. It reports false if it
// cannot, as SubstituteEnvelope does.
func (c *PublishCommand) SubstitutePayload(ctx context.Context, payload any) bool {
	return c.send(ctx, new(substitute), payload)
}

// substitute is a copy of a command in one allocation.
type substitute struct {
	args    [arguments]any
	message WireMessage
	command redis.IntCmd // unless the caller's command is of another type
}

// unanswered is the value of a substitute to which nothing has happened yet. The other
// types have nil then.
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

// Sent returns the command that is sent: the substitute, if there is one.
func (c *PublishCommand) Sent() redis.Cmder {
	if c.substitute != nil {
		return c.substitute
	}
	return c.Caller
}

// TakeReply gives the reply of the substitute to the caller's command. It reports false
// if there is none: then the substitute was not sent, and the caller's command stays as
// it is.
func (c *PublishCommand) TakeReply() (answered bool) {
	if c.substitute == nil {
		return true // the reply is in the caller's command
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

// Receivers returns how many clients got the message, as far as the reply of the
// substitute tells.
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

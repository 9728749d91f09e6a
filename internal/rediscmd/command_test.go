// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
)

const envelope = `{"tracedpubsub":1,"payload":"hello"}`

var errSend = errors.New("not sent")

// callers are the commands that can have a substitute, with what puts a reply on it.
var callers = []struct {
	name  string
	make  func() redis.Cmder
	reply func(cmd redis.Cmder, n int64)
	value func(cmd redis.Cmder) any // nil or -1: no reply
	count bool                      // the reply is a number
}{{
	"IntCmd",
	func() redis.Cmder { return redis.NewIntCmd(context.Background(), "publish", "c", "hello") },
	func(cmd redis.Cmder, n int64) { cmd.(*redis.IntCmd).SetVal(n) },
	func(cmd redis.Cmder) any { return cmd.(*redis.IntCmd).Val() },
	true,
}, {
	"Cmd",
	func() redis.Cmder { return redis.NewCmd(context.Background(), "publish", "c", "hello") },
	func(cmd redis.Cmder, n int64) { cmd.(*redis.Cmd).SetVal(n) },
	func(cmd redis.Cmder) any { return cmd.(*redis.Cmd).Val() },
	true,
}, {
	"RawCmd",
	func() redis.Cmder { return redis.NewRawCmd(context.Background(), "publish", "c", "hello") },
	func(cmd redis.Cmder, n int64) { cmd.(*redis.RawCmd).SetVal(fmt.Appendf(nil, ":%d\r\n", n)) },
	func(cmd redis.Cmder) any { return string(cmd.(*redis.RawCmd).Val()) },
	false,
}}

func TestSubstituteIsAnswered(t *testing.T) {
	for _, row := range callers {
		t.Run(row.name, func(t *testing.T) {
			c := rediscmd.PublishCommand{Caller: row.make()}
			if c.Sent() != c.Caller || c.Substituted() {
				t.Fatal("there is a substitute before one was made")
			}
			if !c.SubstituteEnvelope(t.Context(), envelope) || !c.Substituted() || c.Sent() == c.Caller {
				t.Fatal("there is no substitute")
			}
			if got, want := fmt.Sprint(c.Sent().Args()), "[publish c "+envelope+"]"; got != want {
				t.Errorf("sent is %s, want %s", got, want)
			}
			if got, want := fmt.Sprint(c.Caller.Args()), "[publish c hello]"; got != want {
				t.Errorf("the caller's command has become %s, want %s", got, want)
			}
			row.reply(c.Sent(), 3)
			if !c.TakeReply() || row.value(c.Caller) != row.value(c.Sent()) || c.Caller.Err() != nil {
				t.Errorf("the caller has %v, %v, want %v", row.value(c.Caller), c.Caller.Err(), row.value(c.Sent()))
			}
			if n, ok := c.Receivers(); ok != row.count || ok && n != 3 {
				t.Errorf("Receivers() = %d, %v", n, ok)
			}
		})
	}
}

func TestSubstituteIsNotAnswered(t *testing.T) {
	for _, row := range callers {
		t.Run(row.name, func(t *testing.T) {
			c := rediscmd.PublishCommand{Caller: row.make()}
			c.SubstituteEnvelope(t.Context(), envelope)
			row.reply(c.Caller, 5) // as where go-redis sends the caller's command
			before := row.value(c.Caller)
			if c.TakeReply() || row.value(c.Caller) != before {
				t.Errorf("the caller has %v, want %v: nothing happened to the substitute", row.value(c.Caller), before)
			}
			c.Sent().SetErr(errSend)
			if !c.TakeReply() || !errors.Is(c.Caller.Err(), errSend) || row.value(c.Caller) != before {
				t.Errorf("the caller has %v, %v, want %v, %v", row.value(c.Caller), c.Caller.Err(), before, errSend)
			}
		})
	}
}

func TestSubstituteWithAnotherPayload(t *testing.T) {
	c := rediscmd.PublishCommand{Caller: callers[0].make()}
	if !c.SubstitutePayload(t.Context(), 7) || c.Sent().Args()[2] != 7 {
		t.Errorf("sent is %v, want the payload 7", c.Sent())
	}
}

// A command of any other type is sent itself, and has its own reply.
func TestNoSubstitute(t *testing.T) {
	caller := redis.NewStatusCmd(t.Context(), "publish", "c", "hello")
	c := rediscmd.PublishCommand{Caller: caller}
	if c.SubstituteEnvelope(t.Context(), envelope) || c.Substituted() || c.Sent() != caller {
		t.Error("there is a substitute whose reply the caller could not get")
	}
	if !c.TakeReply() {
		t.Error("the caller's own reply is none")
	}
	if n, ok := c.Receivers(); ok {
		t.Errorf("Receivers() = %d", n)
	}
}

func TestIdentityOf(t *testing.T) {
	c := rediscmd.PublishCommand{Caller: callers[0].make()}
	c.SubstituteEnvelope(t.Context(), envelope)
	own := rediscmd.IdentityOf(c.Caller)
	copied := redis.NewCmd(t.Context(), c.Sent().Args()...)
	if rediscmd.IdentityOf(copied) != rediscmd.IdentityOf(c.Sent()) {
		t.Error("another hook's copy of an envelope is not recognized")
	}
	if rediscmd.IdentityOf(callers[0].make()) == own {
		t.Error("two commands pass for the same")
	}
	if rediscmd.IdentityOf(c.Caller) != own {
		t.Error("a command is not recognized")
	}
}

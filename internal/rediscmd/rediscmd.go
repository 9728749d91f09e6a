// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package rediscmd handles the commands with which go-redis publishes.
//
// [PayloadBytes] returns the bytes that go-redis sends for a payload. [KindOf], [ChannelOf]
// and [PayloadOf] read a command. [PublishCommand] replaces a command of the caller by a
// substitute with another payload, and copies the reply back; hooks need it, since they must
// not change the commands of callers. [WireMessage] is an envelope as a payload.
//
// The package does not know what is in a payload or an envelope.
package rediscmd

import (
	"errors"

	"github.com/redis/go-redis/v9"
)

// Kind is the kind of a command.
type Kind int

// The kinds of commands.
const (
	Other    Kind = iota // the command does not publish
	Publish              // PUBLISH
	SPublish             // SPUBLISH, for sharded channels
)

// A command that publishes has a name, a channel and a payload. Redis refuses it with any
// other number of arguments.
const (
	channelArgument = 1
	payloadArgument = 2
	arguments       = 3
)

// KindOf returns the kind of cmd.
func KindOf(cmd redis.Cmder) Kind {
	if len(cmd.Args()) != arguments {
		return Other
	}
	switch cmd.Name() {
	case "publish":
		return Publish
	case "spublish":
		return SPublish
	}
	return Other
}

// ChannelOf returns the channel of a command that publishes. ok is false if the argument has
// a type that go-redis refuses.
func ChannelOf(cmd redis.Cmder) (channel string, ok bool) {
	argument := cmd.Args()[channelArgument]
	if channel, ok = argument.(string); ok {
		return channel, true
	}
	b, err := PayloadBytes(nil, argument)
	return string(b), err == nil
}

// PayloadOf returns the payload of a command that publishes.
func PayloadOf(cmd redis.Cmder) any { return cmd.Args()[payloadArgument] }

// IdentityOf returns a key that identifies a command that publishes. It is the
// [WireMessage], if there is one: copies that other hooks make of the command have the same.
// Otherwise it is the address of the arguments. The command itself cannot be the key, since
// its type may not be comparable.
func IdentityOf(cmd redis.Cmder) any {
	if message, ok := PayloadOf(cmd).(*WireMessage); ok {
		return message
	}
	return &cmd.Args()[0]
}

// ErrorOf returns the error of a command that was executed. It may be called in a hook. The
// Err method of a command on an asynchronous auto-pipeline may not: it waits for the batch,
// and the batch waits for the hook. A clone of the command has the error and does not wait.
func ErrorOf(cmd redis.Cmder) error { return cmd.Clone().Err() }

// IsReply reports whether err is an error with which a server has replied. An error of
// another hook may panic, for example because it is a nil pointer. Then it is not a reply.
func IsReply(err error) (is bool) {
	defer func() { _ = recover() }()
	var reply redis.Error
	return errors.As(err, &reply)
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package rediscmd knows how go-redis publishes: which bytes it makes of a payload
// ([PayloadBytes]), which commands publish ([KindOf]), and how another command is sent
// in place of the caller's ([PublishCommand]). It does not know what a payload means.
package rediscmd

import "github.com/redis/go-redis/v9"

// Kind is what a command publishes with.
type Kind int

// The kinds of commands.
const (
	Other    Kind = iota // the command does not publish
	Publish              // PUBLISH
	SPublish             // SPUBLISH, for sharded channels
)

// A command that publishes has a name, a channel and a payload. Redis refuses any
// other number of arguments.
const (
	channelArgument = 1
	payloadArgument = 2
	arguments       = 3
)

// KindOf returns what cmd publishes with.
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

// ChannelOf returns the channel of a command that publishes. ok is false if it has
// none, since go-redis refuses what the caller gave for it.
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

// IdentityOf returns a key by which a command that publishes is recognized. That is its
// [WireMessage], which the copies that other hooks make of the command have, too; if it
// has none, its arguments as they are in memory. Commands themselves may be of types
// that cannot be compared.
func IdentityOf(cmd redis.Cmder) any {
	if message, ok := PayloadOf(cmd).(*WireMessage); ok {
		return message
	}
	return &cmd.Args()[0]
}

// ErrorOf returns the error of a command that was executed. Err of a command on an
// asynchronous auto-pipeline may wait for the batch, which waits for the hook that
// asks; a clone has the error and never waits.
func ErrorOf(cmd redis.Cmder) error { return cmd.Clone().Err() }

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Keyspace notifications are messages that a server sends to its own clients only: nodes of a
// cluster do not forward them to each other. So their channels and patterns are subscribed to on
// every master. Replicas send them as well, for the commands that they repeat, so they would be
// duplicates there.
//
// All other messages are forwarded, and a pattern on several masters receives each of them as
// often. So a pattern that may match both is on the main shard as well, which delivers only
// other messages, while the spread shards deliver only notifications.

// notificationPrefixes are those of the channels of keyspace notifications. Redis 8.8 has added
// those with "subkey".
var notificationPrefixes = []string{
	"__keyspace@", "__keyevent@",
	"__subkeyspace@", "__subkeyevent@", "__subkeyspaceitem@", "__subkeyspaceevent@",
}

// isNotification reports whether a channel is one of keyspace notifications, or a pattern with
// this literal prefix matches no other channels.
func isNotification(channel string) bool {
	return strings.HasPrefix(channel, "__") &&
		slices.ContainsFunc(notificationPrefixes, func(prefix string) bool { return strings.HasPrefix(channel, prefix) })
}

// isForNotifications reports whether a pattern with this literal prefix is obviously for keyspace
// notifications, though it may match other channels, such as "__key*__:*", which the
// documentation of Redis has as an example. Others, such as "*", are ordinary patterns.
func isForNotifications(literal string) bool {
	return (strings.HasPrefix(literal, "__key") || strings.HasPrefix(literal, "__subkey")) &&
		slices.ContainsFunc(notificationPrefixes, func(prefix string) bool { return strings.HasPrefix(prefix, literal) })
}

func (*cluster) reach(k Kind, name string) reach {
	switch k {
	case ShardChannels:
		return onOwner
	case Channels:
		if isNotification(name) {
			return onAll
		}
	case Patterns:
		glob := strings.IndexAny(name, `*?[\`)
		if glob < 0 {
			glob = len(name)
		}
		switch literal := name[:glob]; {
		case isNotification(literal):
			return onAll
		case glob < len(name) && isForNotifications(literal):
			return onMain | onAll
		}
	}
	return onMain
}

// isCopy reports whether another shard delivers a message that sh has received.
func (sh *shard) isCopy(m *redis.Message) bool {
	cluster := sh.sub.topology.cluster()
	return cluster != nil && m.Pattern != "" && cluster.reach(Patterns, m.Pattern) == onMain|onAll &&
		isNotification(m.Channel) != sh.spread
}

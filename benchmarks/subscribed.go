// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"errors"
	"strconv"

	"github.com/tracedpubsub/tracedpubsub"
)

// Subscribed receives with one subscription to a number of channels. The messages are
// published on each in turn, and already wait.
func Subscribed(e *Env, names int) (*Bench, error) {
	s := Setting{Kind: Text, Size: Small, Sampling: Sampled, Channels: 1}
	prefix := "subscribed:" + strconv.FormatInt(subscribers.Add(1), 10) + ":"
	channels := newNamer(prefix, names)
	r := receiver{Library, libraryMessage, nil, nil}
	r.subscribe = func(e *Env, s Setting, _ string) (*subscription, error) {
		rdb := e.client()
		sub := tracedpubsub.Wrap(rdb, e.options(s)...).Subscribe(context.Background(), channels.take(names)...)
		// Wait for the confirmations of all channels, which are no cost of a message.
		if err := sub.Ready(context.Background()); err != nil {
			return nil, errors.Join(err, closing(sub, rdb)())
		}
		return &subscription{
			drain: func(n int, handle func(string)) { drainMessages(sub, n, handle) },
			close: closing(sub, rdb),
		}, nil
	}
	return r.benchOn(e, s, channels, prefix+strconv.Itoa(names-1))
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
	"github.com/tracedpubsub/tracedpubsub/internal/wire"
)

// WithAccounting makes a [Client], or the hook of [Instrument] and [NewHook], account for what
// it publishes: each envelope says when it was published, by which publisher, and which number
// it has on its channel. These are given when a message is put into a pipeline, and not when
// the pipeline is sent. Subscribers need no option to count what they have missed; see
// [PubSub]. Those without this library, or with an earlier version, ignore it.
//
// Each [Wrap], Instrument and NewHook is a publisher of its own, so make one and keep it. A message gets its number
// once its payload is marshaled. A command that go-redis sends again has the same number. If
// a message is not published after all, because of an error, a pipeline that is discarded or a
// transaction that is tried again, subscribers count it as lost: it has not arrived.
//
// Goroutines that publish on one channel at once may overtake each other, since no lock is held
// while a message is sent. Subscribers wait 5 s for a message that others have overtaken.
//
// A publisher keeps the numbers of 65,536 channels. If there are more, it goes on as a new
// publisher, and subscribers cannot tell what they have missed at that moment. [Encode]
// ignores this option, and so does a message without an envelope; see [WithEnvelopeFilter].
//
// Default: off.
func WithAccounting() Option {
	return optionFunc(func(c *config) { c.ledgers = new(ledgers) })
}

// ledgers are those of one publisher. Sharded channels have one of their own: a channel and a
// sharded channel of the same name have different subscribers.
type ledgers struct{ channels, shardChannels ledger }

// ledger numbers the messages of each channel.
type ledger struct {
	mu      sync.Mutex
	source  string // empty before the first message
	numbers map[string]int64
}

// maxNumbered is the number of channels of one source.
const maxNumbered = 65_536

// ledgerOf returns the ledger for messages of the operation, or nil if they have no accounting.
func (c *config) ledgerOf(o *telemetry.Operation) *ledger {
	switch {
	case c.ledgers == nil:
		return nil
	case o == telemetry.SPublish:
		return &c.ledgers.shardChannels
	}
	return &c.ledgers.channels
}

// next returns the accounting of the next message on channel.
func (l *ledger) next(channel string) wire.Accounting {
	l.mu.Lock()
	defer l.mu.Unlock()
	number, known := l.numbers[channel]
	if !known {
		if l.source == "" || len(l.numbers) >= maxNumbered {
			l.source, l.numbers = newSource(), make(map[string]int64)
		}
		channel = strings.Clone(channel) // it may be part of something large
	}
	number++
	l.numbers[channel] = number
	return wire.Accounting{Time: time.Now().UnixMicro(), Source: l.source, Sequence: number}
}

// newSource returns the ID of a publisher.
func newSource() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never returns an error
	return base64.RawURLEncoding.EncodeToString(id[:])
}

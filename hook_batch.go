// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"bytes"
	"context"
	"encoding"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
)

// batch is a pipeline with messages among its commands.
//
// Messages that are envelopes already belong to it, too. They are sent as they are and have
// no create span, because their publisher has started one.
type batch struct {
	*tracing
	cmds      []redis.Cmder    // those of the caller; after replace, with the substitutes
	messages  []publishCommand // nil when the batch is sent
	at        []int            // the index of each message in cmds
	envelopes int              // the number of messages that are envelopes already

	outer    *batch // the batch of another hook that has passed on the same pipeline
	identify sync.Once
	ids      map[any]struct{} // the identities of the messages
}

// batchKey is the context key of the batch of a pipeline.
type batchKey struct{}

func (t *tracing) batch(ctx context.Context, cmds []redis.Cmder) *batch {
	b := &batch{tracing: t, cmds: cmds}
	b.outer, _ = ctx.Value(batchKey{}).(*batch)
	for i, cmd := range cmds {
		operation := operationOf(cmd)
		if operation == nil || b.outer.has(cmd) {
			continue
		}
		m := newPublishCommand(cmd, operation)
		carrier, traced := t.inspect(&m)
		if !traced {
			continue
		}
		if _, marshals := rediscmd.PayloadOf(cmd).(encoding.BinaryMarshaler); marshals {
			m.body = bytes.Clone(m.body) // the next payload may be marshaled into the same buffer
		}
		m.template = t.cfg.templateOf(m.channel)
		if m.envelope {
			m.carried = t.cfg.carriedBy(carrier)
			b.envelopes++
		}
		if b.messages == nil {
			b.messages = slices.Grow(*publishCommands.Get().(*[]publishCommand), len(cmds)-i)
			b.at = make([]int, 0, len(cmds)-i)
		}
		b.messages = append(b.messages, m)
		b.at = append(b.at, i)
	}
	return b
}

// publishCommands holds batch buffers: the memory for the messages of a batch. For a large
// batch, that would be most of what a hook allocates.
var publishCommands = sync.Pool{New: func() any { return new([]publishCommand) }}

// maxKeptCommands is the capacity of the largest batch buffer that is kept.
const maxKeptCommands = 1024

// free releases the batch buffer. Another hook may keep the context with the batch, but
// calls only has, which does not need it.
func (b *batch) free() {
	if cap(b.messages) <= maxKeptCommands {
		clear(b.messages)
		kept := b.messages[:0]
		publishCommands.Put(&kept)
	}
	b.messages = nil
}

// has reports whether cmd is a message of b or of an outer batch, so that another hook
// handles it.
func (b *batch) has(cmd redis.Cmder) bool {
	for ; b != nil; b = b.outer {
		b.identify.Do(func() { // the nodes of a cluster have goroutines of their own
			b.ids = make(map[any]struct{}, len(b.at))
			for _, at := range b.at {
				b.ids[rediscmd.IdentityOf(b.cmds[at])] = struct{}{}
			}
		})
		if _, ok := b.ids[rediscmd.IdentityOf(cmd)]; ok {
			return true
		}
	}
	return false
}

// own returns the number of messages that are not envelopes already.
func (b *batch) own() int { return len(b.messages) - b.envelopes }

// destination returns the channel and the template of the messages. One that is not the
// same for all messages is "".
func (b *batch) destination() (channel, template string) {
	channel, template = b.messages[0].channel, b.messages[0].template
	for i := range b.messages {
		if b.messages[i].channel != channel {
			channel = ""
		}
		if b.messages[i].template != template {
			template = ""
		}
	}
	return channel, template
}

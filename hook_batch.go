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
// Messages that are envelopes already belong to it like the others, but are sent as they
// are, and have no create span: their own publisher has made one.
type batch struct {
	*tracing
	cmds      []redis.Cmder    // those of the caller; after replace, with the substitutes
	messages  []publishCommand // until the batch is sent
	at        []int            // where the messages are in cmds
	envelopes int              // how many of the messages are sent as they are

	outer    *batch // of another hook that has passed on the same pipeline
	identify sync.Once
	ids      map[any]struct{} // the identities of the messages
}

// batchKey is the context key of the batch that a hook has made of a pipeline.
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
			m.body = bytes.Clone(m.body) // the next one may be marshaled into the same memory
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

// publishCommands is memory for the messages of a batch, which would be most of what a
// hook allocates for a large one.
var publishCommands = sync.Pool{New: func() any { return new([]publishCommand) }}

// maxKeptCommands is for how many messages memory is kept.
const maxKeptCommands = 1024

// free gives back the memory that only send needs. Another hook may keep the context, and
// the batch in it, of which it uses nothing but has.
func (b *batch) free() {
	if cap(b.messages) <= maxKeptCommands {
		clear(b.messages)
		kept := b.messages[:0]
		publishCommands.Put(&kept)
	}
	b.messages = nil
}

// has reports whether cmd is a message of b, or of a batch around it. The first hook that
// has inspected a message decides on it.
func (b *batch) has(cmd redis.Cmder) bool {
	for ; b != nil; b = b.outer {
		b.identify.Do(func() { // the nodes of a cluster may ask at the same time
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

// own returns for how many messages the batch makes substitutes.
func (b *batch) own() int { return len(b.messages) - b.envelopes }

// destination returns the channel and the template of all messages, each of them "" if the
// messages do not have the same.
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

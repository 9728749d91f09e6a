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
)

// batch is a pipeline with messages among its commands.
//
// Those that are envelopes already belong to it like the others, but go out as they
// are: whoever has made them has made the spans of their creation.
type batch struct {
	*tracing
	cmds      []redis.Cmder // with the copies of the messages, once they are made
	messages  []outgoing    // until it is sent
	kept      *[]outgoing   // the memory in which they are
	at        []int         // where they are in cmds
	envelopes int           // how many of them go out as they are

	outer    *batch // of another hook that has passed the same pipeline on
	identify sync.Once
	ids      map[any]struct{} // what the messages are known by
}

// batchKey is the key in the context of a pipeline of the batch that a hook has made of it.
type batchKey struct{}

func (t *tracing) batch(ctx context.Context, cmds []redis.Cmder) *batch {
	b := &batch{tracing: t, cmds: cmds}
	b.outer, _ = ctx.Value(batchKey{}).(*batch)
	for i, cmd := range cmds {
		operation := operationOf(cmd)
		if operation == nil || b.outer.has(cmd) {
			continue
		}
		if b.kept == nil {
			b.kept = outgoings.Get().(*[]outgoing)
			b.messages = slices.Grow((*b.kept)[:0], len(cmds)-i)
			b.at = make([]int, 0, len(cmds)-i)
		}
		last := len(b.messages)
		b.messages = append(b.messages, outgoing{cmd: cmd, operation: operation})
		m := &b.messages[last]
		carrier, ours := t.look(m)
		if !ours {
			*m = outgoing{} // free clears no more than the messages that there are
			b.messages = b.messages[:last]
			continue
		}
		if _, marshals := cmd.Args()[2].(encoding.BinaryMarshaler); marshals {
			m.body = bytes.Clone(m.body) // the next one may be marshalled into the same memory
		}
		m.template = t.cfg.templateOf(m.channel)
		if m.envelope {
			m.carried = t.cfg.carriedBy(carrier)
			b.envelopes++
		}
		b.at = append(b.at, i)
	}
	return b
}

// has says whether cmd is a message of b, or of a batch around it: one batch accounts
// for a message, and what that has decided on stays.
func (b *batch) has(cmd redis.Cmder) bool {
	for ; b != nil; b = b.outer {
		b.identify.Do(func() { // the nodes of a cluster may ask at the same time
			b.ids = make(map[any]struct{}, len(b.at))
			for _, at := range b.at {
				b.ids[idOf(b.cmds[at])] = struct{}{}
			}
		})
		if _, ok := b.ids[idOf(cmd)]; ok {
			return true
		}
	}
	return false
}

// idOf is what a command that publishes is known by: the envelope that this package has
// made, also where another hook has put a copy in the place of the command; else where its
// arguments are. Commands themselves may be of types that cannot be compared.
func idOf(cmd redis.Cmder) any {
	args := cmd.Args()
	if e, ok := args[arguments-1].(*enveloped); ok {
		return e
	}
	return &args[0]
}

// outgoings is memory for the messages of a batch: for many of them it would be most of
// what a hook allocates.
var outgoings = sync.Pool{New: func() any { return new([]outgoing) }}

// keptOutgoings is for how many messages memory is kept.
const keptOutgoings = 1024

// free gives back what only send needs. Whoever is told of the batch by a context, and
// keeps that, asks no more than has.
func (b *batch) free() {
	if b.kept != nil && cap(b.messages) <= keptOutgoings {
		clear(b.messages)
		*b.kept = b.messages
		outgoings.Put(b.kept)
	}
	b.messages, b.kept = nil, nil
}

// own is how many messages the batch makes envelopes of, or sends bare.
func (b *batch) own() int { return len(b.messages) - b.envelopes }

// destination is the channel of all messages, and the template of all, or "" where
// they have not the same.
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

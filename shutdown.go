// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"fmt"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// Shutdown ends the subscription without losing a message that the server has sent. It
// unsubscribes from everything, waits until all that was sent before is handled, and
// closes the subscription:
//
//   - Loops over [PubSub.Messages] end, and [PubSub.Process] returns nil, when they have
//     handled the last message. Shutdown waits for that.
//   - The channel of [PubSub.Channel] is closed, and [PubSub.ReceiveMessage] returns
//     redis.ErrClosed, when the last message is taken. Shutdown waits until it is taken, but
//     cannot know when it is handled.
//
// Shutdown does not cancel the contexts of loop bodies and handlers. Do not cancel the context
// of a loop to stop it: then it leaves the messages that are still to come. If nobody consumes,
// Shutdown waits for a consumer. If a connection is lost meanwhile, it is not replaced; what was
// on its way is lost, and reported to the error handler as an outage.
//
// If ctx is canceled first, Shutdown does what [PubSub.Close] does, and returns an error that
// wraps ctx.Err() and says how many messages had been read and were dropped: there may have
// been more on their way. If Close ends the subscription meanwhile, the error wraps
// redis.ErrClosed. Shutdown returns nil if the subscription is closed already.
//
// From the call on, [PubSub.Subscribe], [PubSub.Ready] and the like return redis.ErrClosed.
// Shutdown may be called more than once. It must not be called from a loop body or a handler of
// the same subscription, nor from its error handler: it would wait for these until ctx is
// canceled. Another goroutine may call it.
func (p *PubSub) Shutdown(ctx context.Context) error {
	if p.isClosed() {
		return nil
	}
	err := p.sub.Drain(ctx)
	if err == nil {
		p.arrivals.close() // nothing more is read, and handlers may take long
		p.drained.Store(true)
		p.sub.Close()
	}
	if p.drained.Load() { // another call may have done it
		err = p.awaitConsumers(ctx)
	}
	_ = p.Close()
	if err != nil {
		return fmt.Errorf("tracedpubsub: %d messages were read and not handled: %w", p.dropped.Load(), err)
	}
	return nil
}

// awaitConsumers waits until all messages are taken, and all loops have ended.
func (p *PubSub) awaitConsumers(ctx context.Context) error {
	// Nobody is notified when a message is taken from the channel, so this polls, as
	// http.Server.Shutdown does.
	const longest = 50 * time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	for wait := time.Millisecond; ; wait = min(2*wait, longest) {
		switch {
		case p.finished.Load(): // another call may have waited
			return nil
		case p.isClosed():
			return subscription.ErrClosed
		case p.trySeal() && len(p.messages) == 0 && p.loops.Load() == 0:
			p.finished.Store(true)
			return nil
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// seal closes the channel of messages. Those that are in it can still be received.
func (p *PubSub) seal() {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.sealLocked()
}

// trySeal is like seal. It returns false, and does nothing, while a message is sent.
func (p *PubSub) trySeal() bool {
	if !p.sending.TryLock() {
		return false
	}
	defer p.sending.Unlock()
	p.sealLocked()
	return true
}

func (p *PubSub) sealLocked() {
	if !p.sealed {
		p.sealed = true
		close(p.messages)
	}
}

func (p *PubSub) isClosed() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"github.com/redis/go-redis/v9"
)

// deliver hands m over, and waits for as long as no consumer takes it; conn is
// paused then. It says whether the subscription is still open.
func (p *PubSub) deliver(m *redis.Message, conn *connection) bool {
	msg := p.cfg.open(m, p.server)
	if p.sending.TryLock() {
		defer p.sending.Unlock()
		select {
		case <-p.done: // the channel may be closed
			return false
		default:
		}
		select {
		case p.messages <- msg:
			return true
		default:
		}
		conn.pause()
		defer conn.resume()
	} else {
		conn.pause()
		defer conn.resume()
		p.sending.Lock()
		defer p.sending.Unlock()
	}
	select {
	case <-p.done:
		return false
	default:
	}
	select {
	case p.messages <- msg:
		return true
	case <-p.done:
		return false
	}
}

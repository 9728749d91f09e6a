// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import "time"

// evidence is what is known about a connection: when the server was last alive, and until
// when all messages have certainly been received. It is part of the state.
type evidence struct {
	opened time.Time
	// alive is when a message or reply was last read, or the consumer last kept the
	// server waiting. The time since then is silence.
	alive time.Time

	// lastReply is when the last command was sent that the server has answered. All
	// messages that were published before have been read. A message proves nothing like
	// that, since it may have waited in the socket.
	lastReply time.Time
	// lastRight is when the server was last known to be the right one. A server that was
	// replaced answers commands as well, and may even get messages of some publishers.
	lastRight time.Time
	verified  bool // whether that counts

	messages       uint64 // the number of messages read at the last call of observe
	unacknowledged bool   // messages were read since the last PING
}

// replied notes that the server has answered cmd.
func (e *evidence) replied(cmd *command) { e.lastReply, e.alive = cmd.sent, time.Now() }

// observe notes the number of messages read so far, and whether the consumer keeps the
// server waiting. It returns how long the server has been silent.
func (e *evidence) observe(now time.Time, messages uint64, busy bool) (silence time.Duration) {
	if messages != e.messages {
		e.messages, e.unacknowledged, e.alive = messages, true, now
	}
	if busy {
		e.alive = now
	}
	return now.Sub(e.alive)
}

// received returns until when all messages have certainly been received, if the connection
// is lost now: the connection has delivered them, and the server got them. This is the one
// rule for the beginning of an outage.
func (e *evidence) received() time.Time {
	last := e.lastReply
	if e.verified && e.lastRight.Before(last) {
		last = e.lastRight
	}
	return latest(e.opened, last)
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import "time"

// evidence is what is known of a connection: when the server was last alive, and until
// when everything that was published has certainly been received. It is part of the state.
type evidence struct {
	opened time.Time
	// alive is when something was last read, or the consumer last kept the server
	// waiting. The time since then is silence.
	alive time.Time

	// lastReply is when the last command was sent that the server has answered. All that
	// it had sent by then has been read. The same cannot be said of a message: it may
	// have waited in the socket.
	lastReply time.Time
	// lastMessage is the lastReply that was known when the last message came. A node
	// that was removed from a cluster answers commands, but gets no messages.
	lastMessage time.Time
	// lastMember is when the server was last known to belong to its cluster.
	lastMember time.Time

	messages       uint64 // how many were read when the connection was last looked at
	repliedAt      uint64 // how many were read at the last reply
	unacknowledged bool   // messages were read since the last PING
}

// replied notes that the server has answered cmd, after messages.
func (e *evidence) replied(cmd *command, messages uint64) {
	if messages != e.repliedAt {
		e.lastMessage, e.repliedAt = e.lastReply, messages
	}
	e.lastReply, e.alive = cmd.sent, time.Now()
}

// observe notes that so many messages have been read, and whether the consumer keeps the
// server waiting. It returns the time for which the server has been silent.
func (e *evidence) observe(now time.Time, messages uint64, busy bool) (silence time.Duration) {
	if messages != e.messages {
		e.messages, e.unacknowledged, e.alive = messages, true, now
	}
	if busy {
		e.alive = now
	}
	return now.Sub(e.alive)
}

// received returns until when everything has been received, if the connection is lost
// now, after messages.
func (e *evidence) received() time.Time { return latest(e.opened, e.lastReply) }

// receivedAsMember returns the same for a server that is found to be no member of its
// cluster any more: its replies prove nothing.
func (e *evidence) receivedAsMember(messages uint64) time.Time {
	last := e.lastMessage
	if messages != e.repliedAt {
		last = e.lastReply
	}
	return latest(e.opened, last, e.lastMember)
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

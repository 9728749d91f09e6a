// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import "time"

// How a server is found to be dead that never said so, its cable cut: all of
// this counts only while a read waits for it.
const (
	watchInterval = time.Second
	pingSilence   = 5 * time.Second
	deadSilence   = 18 * time.Second
	// memberInterval is how often the cluster is asked for its nodes: one that was
	// taken out of it goes on answering, and has nothing to say.
	memberInterval = 10 * time.Second
)

// A name that has moved is asked for again after soon; while that does not help,
// after twice that, and so on up to the watchInterval.
const soon = 20 * time.Millisecond

// watch asks again for what was refused or has moved, and ends a connection on
// which nothing comes any more.
func (f *feed) watch(conn *connection) {
	timer := time.NewTimer(watchInterval)
	defer timer.Stop()
	hurry, hurried := soon, false
	var pinged time.Time
	for {
		select {
		case <-conn.closed:
			return
		case <-conn.again:
			if !hurried {
				hurried = true
				timer.Reset(hurry)
			}
			continue
		case <-timer.C:
		}
		timer.Reset(watchInterval)
		if hurried {
			hurry = min(2*hurry, watchInterval)
		} else {
			hurry = soon
		}
		hurried = false
		silence := conn.silence()
		if silence >= deadSilence {
			conn.close(errSilent)
			return
		}
		if f.shard != nil {
			f.shard.settle(f.pubsub.ctx, f)
		}
		if s := f.pubsub.shards; s != nil && s.cluster != nil {
			s.check(f.pubsub.ctx)
		}
		// While messages come, a ping after each interval tells how old they are.
		ping := silence >= pingSilence && time.Since(pinged) >= pingSilence || conn.unheard.Load()
		if ping {
			pinged = time.Now()
		}
		if !f.tend(conn, ping) {
			return
		}
	}
}

// tend asks on conn for what is not asked for, and sends a ping, unless it
// leaves conn.
func (f *feed) tend(conn *connection, ping bool) bool {
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.leave(conn) {
		return false
	}
	f.askAgain(conn)
	f.status.mu.Lock()
	ping = ping && !conn.pinging()
	f.status.mu.Unlock()
	if ping {
		conn.unheard.Store(false)
		_ = f.send(conn, &command{op: opPing})
	}
	return true
}

// leave closes conn if it is one of several and nothing is wanted on it any more.
// f.writing is held.
func (f *feed) leave(conn *connection) bool {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	if f.shard == nil || !f.idle() {
		return false
	}
	f.conn = nil
	conn.close(errRetired)
	return true
}

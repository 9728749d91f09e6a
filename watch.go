// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// How a server is found to be dead that never said so, its cable cut: all of
// this counts only while a read waits for it.
const (
	watchInterval = time.Second
	pingSilence   = 5 * time.Second
	deadSilence   = 18 * time.Second
	// memberInterval is how often a node is looked for in the cluster: one that
	// was taken out of it goes on answering, and has nothing to say.
	memberInterval = 10 * time.Second
)

// A name that has moved is asked for again after soon, then twice that, and so on
// up to the watchInterval.
const soon = 20 * time.Millisecond

// watch asks again for what was refused or has moved, and ends a connection on
// which nothing comes any more.
func (f *feed) watch(conn *connection) {
	interval := watchInterval
	timer := time.NewTimer(interval)
	defer timer.Stop()
	var pinged time.Time
	var up []*redis.Client
	if f.shard != nil {
		f.shard.changed(&up)
	}
	checked := time.Now()
	for {
		select {
		case <-conn.closed:
			return
		case <-conn.again:
			interval = soon
			timer.Reset(interval)
			continue
		case <-timer.C:
		}
		interval = min(2*interval, watchInterval)
		timer.Reset(interval)
		silence := conn.silence()
		if silence >= deadSilence {
			conn.close(errSilent)
			return
		}
		if s := f.pubsub.shards; f.shard != nil {
			s.settle(f.pubsub.ctx, f, s.changed(&up))
		} else if s != nil && s.cluster != nil && time.Since(checked) >= memberInterval {
			checked = time.Now()
			go s.check(f.pubsub.ctx, conn)
		}
		f.writing.Lock()
		if f.leave(conn) {
			f.writing.Unlock()
			return
		}
		f.askAgain(conn)
		if silence >= pingSilence && time.Since(pinged) >= pingSilence {
			pinged = time.Now()
			_ = f.send(conn, &command{op: opPing})
		}
		f.writing.Unlock()
	}
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// connection is one *redis.PubSub, used for as long as its first connection to
// the server lasts, and what was asked on it and is not answered yet.
type connection struct {
	ps   *redis.PubSub
	home Subscriber // where it leads to

	// Guarded by status.mu.
	pending   []*command            // in the order in which they were sent
	recovered map[*trouble][]string // names that are heard again, and are to be reported

	// Times since opened. came is when something was last read, and resumed when
	// reading went on after a consumer had let the server wait, which paused says
	// that one does. A consumer that takes its time is no dead server.
	opened        time.Time
	came, resumed atomic.Int64
	paused        atomic.Bool

	// limit is for the next read. It is for the goroutine that reads.
	limit time.Duration
	// heard is when the last command was sent that the server has answered:
	// whatever it had sent by then has been read. For a message nobody can tell:
	// it may have been waiting in the socket. It is for the goroutine that reads.
	heard time.Time
	// told is heard as it was at the last message, which came later than that. A
	// node that is no part of the cluster any more answers, and tells nothing.
	told time.Time
	// member is when it was last asked whether home is a part of the cluster, and
	// it was. Guarded by status.mu.
	member time.Time
	// unheard says that a message was read, so that heard could be later.
	unheard atomic.Bool

	again   chan struct{} // tells the watch to ask again soon
	closing sync.Once
	cause   error         // why it was closed; to be read after closed
	closed  chan struct{} // closed first
	gone    chan struct{} // closed when go-redis has let go of it
}

func newConnection(ctx context.Context, home Subscriber) *connection {
	return &connection{
		// Without names no connection is made yet; with names, go-redis would
		// swallow the error of the dial.
		ps:        home.Subscribe(ctx),
		home:      home,
		again:     make(chan struct{}, 1),
		recovered: make(map[*trouble][]string),
		opened:    time.Now(),
		closed:    make(chan struct{}),
		gone:      make(chan struct{}),
	}
}

// command is something that the server will answer: a subscription command once
// for each name, in their order, or once with an error; a ping once. An answer
// that refuses names none, so it is the order that tells what it is about.
type command struct {
	op       string
	to       kind
	names    []string
	answered int
	payload  []string // of a ping
	sent     time.Time
}

const opPing = "ping"

var (
	subscribeOps   = [kinds]string{OpSubscribe, OpPSubscribe, OpSSubscribe}
	unsubscribeOps = [kinds]string{OpUnsubscribe, OpPUnsubscribe, OpSUnsubscribe}
)

func (c *command) subscribes() bool { return c.op == subscribeOps[c.to] }

// hungUp is the context that go-redis gets for everything after the first dial.
// It reads and writes with it as with any context that has no deadline. But
// where it would replace a lost connection by itself, at once, and while it holds
// the mutex that Close needs, the dial fails: that is for the feed to do.
var hungUp = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (c *connection) write(ctx context.Context, cmd *command) error {
	switch cmd.op {
	case opPing:
		return c.ps.Ping(ctx, cmd.payload...)
	case subscribeOps[toChannels]:
		return c.ps.Subscribe(ctx, cmd.names...)
	case subscribeOps[toPatterns]:
		return c.ps.PSubscribe(ctx, cmd.names...)
	case subscribeOps[toShards]:
		return c.ps.SSubscribe(ctx, cmd.names...)
	case unsubscribeOps[toChannels]:
		return c.ps.Unsubscribe(ctx, cmd.names...)
	case unsubscribeOps[toPatterns]:
		return c.ps.PUnsubscribe(ctx, cmd.names...)
	default:
		return c.ps.SUnsubscribe(ctx, cmd.names...)
	}
}

// limitAsBefore is a time limit for a read that leaves the one before in place. The
// first read sets none, and takes away what go-redis needed for its handshake; to do
// so each time costs a tenth of a microsecond, and would let the "relaxed" timeouts of
// go-redis' maintenance notifications end a read that only waits.
const limitAsBefore = -1

// receive waits for the next message or answer. go-redis takes replies apart
// with unchecked type assertions: one of an unexpected shape makes it panic, and
// may leave its mutex locked. Such a PubSub can only be abandoned.
func (c *connection) receive() (reply any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("go-redis, at an unexpected reply", v)
		}
	}()
	reply, err = c.ps.ReceiveTimeout(hungUp, c.limit)
	c.limit = limitAsBefore
	if err == nil {
		c.came.Store(int64(time.Since(c.opened)))
	}
	return reply, err
}

// lastHeard is when the server was last heard, or the connection opened.
func (c *connection) lastHeard() time.Time {
	if c.heard.IsZero() {
		return c.opened
	}
	return c.heard
}

// lastTold is when the server certainly was a part of the cluster still.
func (c *connection) lastTold() time.Time {
	last := c.opened
	for _, at := range []time.Time{c.told, c.member} {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// silence is for how long a read has waited for the server; 0 if none does.
func (c *connection) silence() time.Duration {
	if c.paused.Load() {
		return 0
	}
	return time.Since(c.opened) - time.Duration(max(c.came.Load(), c.resumed.Load()))
}

// pause and resume enclose the time in which a consumer lets the server wait.
func (c *connection) pause() { c.paused.Store(true) }

func (c *connection) resume() {
	c.resumed.Store(int64(time.Since(c.opened)))
	c.paused.Store(false)
}

// close ends the connection, which wakes a read that waits. It does not wait
// itself: go-redis' Close needs a mutex that a write may hold for a WriteTimeout.
func (c *connection) close(cause error) {
	c.closing.Do(func() {
		c.cause = cause
		close(c.closed)
		go func() {
			defer close(c.gone)
			_ = c.ps.Close()
		}()
	})
}

// askSoon makes the watch ask soon for what is not asked for.
func (c *connection) askSoon() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// head is the command that the next answer is for; nil if there is none.
func (c *connection) head() *command {
	if len(c.pending) == 0 {
		return nil
	}
	return c.pending[0]
}

func (c *connection) pop() {
	c.pending[0] = nil
	c.pending = c.pending[1:]
}

// pinging says whether a ping is not answered.
func (c *connection) pinging() bool {
	for _, cmd := range c.pending {
		if cmd.op == opPing {
			return true
		}
	}
	return false
}

// subscribing says whether a name is asked for and not answered.
func (c *connection) subscribing() bool {
	for _, cmd := range c.pending {
		if cmd.subscribes() {
			return true
		}
	}
	return false
}

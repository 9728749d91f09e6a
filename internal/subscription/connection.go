// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// connection is one *redis.PubSub, used for as long as its first network connection
// lasts. What go-redis does by itself about a lost connection has no back-off, is not
// reported, and forgets topics that were refused.
type connection struct {
	sub    *Subscription
	server Subscriber
	ps     *redis.PubSub
	dial   context.Context // for the dial, which comes with the first command

	// Part of the state.
	queue      []*command // to be written
	flushing   bool       // flush is at it
	unanswered []*command // written, in this order
	recovered  outages    // that are over, and not reported yet
	evidence   evidence
	pinged     time.Time
	reading    bool // it is read, so that silence counts

	messages atomic.Uint64 // how many were read
	busy     atomic.Bool   // the goroutine that reads waits for the consumer, or the Observer

	up        chan struct{} // closed when the first command is written
	closed    chan struct{} // closed by close
	released  chan struct{} // closed when go-redis has let go of it
	closeOnce sync.Once
	cause     error // why it was closed; to be read after closed

	timeout time.Duration // of the next read; for the goroutine that reads
}

// newConnection prepares a connection to server. The first command dials, with ctx.
func (s *Subscription) newConnection(ctx context.Context, server Subscriber) *connection {
	return &connection{
		sub:    s,
		server: server,
		// Without names go-redis does no I/O yet. With names it would swallow the error
		// of the dial.
		ps:       server.Subscribe(ctx),
		dial:     ctx,
		evidence: evidence{opened: time.Now(), alive: time.Now()},
		up:       make(chan struct{}),
		closed:   make(chan struct{}),
		released: make(chan struct{}),
	}
}

// canceled is the context that go-redis gets for everything but the first dial. Its reads
// and writes do not look at it. But where it would replace a lost connection by itself,
// at once and holding the mutex that Close needs, the dial fails.
var canceled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// enqueue has commands written, in this order, and returns what waits for the last one.
// It is part of the state.
func (c *connection) enqueue(commands ...*command) sending {
	if len(commands) == 0 || c.isClosed() {
		return sending{conn: c}
	}
	last := commands[len(commands)-1]
	if last.written == nil {
		last.written = make(chan struct{})
	}
	c.queue = append(c.queue, commands...)
	if !c.flushing {
		c.flushing = true
		c.sub.state.after(func() { go c.flush() })
	}
	return sending{conn: c, cmd: last}
}

// flush writes what is queued. It ends when there is nothing left. No call waits for a
// slow peer because of it, unless that call wants to.
func (c *connection) flush() {
	for {
		var cmd *command
		c.sub.update(func(*state) { cmd = c.next() })
		if cmd == nil {
			return
		}
		if err := c.write(cmd); err != nil {
			c.close(err)
			return
		}
		if cmd.written != nil {
			close(cmd.written)
		}
	}
}

// next takes the next command from the queue. It is part of the state.
func (c *connection) next() *command {
	if len(c.queue) == 0 || c.isClosed() {
		c.flushing = false
		return nil
	}
	cmd := c.queue[0]
	c.queue = c.queue[1:]
	c.unanswered = append(c.unanswered, cmd)
	cmd.sent = time.Now()
	return cmd
}

// write writes cmd. The dial may call functions of the user, which may panic.
func (c *connection) write(cmd *command) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("go-redis, or a function among its options", v)
		}
	}()
	if c.isUp() {
		return cmd.write(canceled, c.ps)
	}
	if err := cmd.write(c.dial, c.ps); err != nil {
		return err
	}
	close(c.up)
	return nil
}

// sameTimeout leaves the time limit of reads as it is. The first read sets none, and
// takes away what go-redis needed for its handshake. To do so each time costs a tenth of
// a microsecond, and would let the "relaxed" timeouts of go-redis' maintenance
// notifications end a read that only waits.
const sameTimeout = -1

// receive waits for the next message or reply. go-redis takes replies apart with
// unchecked type assertions: one of an unexpected shape makes it panic, and may leave its
// mutex locked. Such a connection can only be abandoned.
func (c *connection) receive() (reply any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("go-redis, at an unexpected reply", v)
		}
	}()
	reply, err = c.ps.ReceiveTimeout(canceled, c.timeout)
	c.timeout = sameTimeout
	return reply, err
}

// close ends the connection, which wakes a read that waits. It does not wait itself:
// go-redis' Close needs a mutex that a write may hold for a WriteTimeout.
func (c *connection) close(cause error) {
	c.closeOnce.Do(func() {
		c.cause = cause
		close(c.closed)
		go func() {
			defer close(c.released)
			_ = c.ps.Close()
		}()
	})
}

// awaitUp waits until the connection is up, and returns why it is not.
func (c *connection) awaitUp(ctx context.Context) error {
	select {
	case <-c.up:
		return nil
	case <-c.closed:
	case <-ctx.Done():
	}
	switch {
	case c.isUp():
		return nil
	case c.isClosed():
		return c.cause
	}
	return ctx.Err()
}

func (c *connection) isClosed() bool { return isDone(c.closed) }
func (c *connection) isUp() bool     { return isDone(c.up) }

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// oldest returns the command that the next reply is for, or nil. It is part of the state,
// and so are the methods below.
func (c *connection) oldest() *command {
	if len(c.unanswered) == 0 {
		return nil
	}
	return c.unanswered[0]
}

// pop removes the oldest command, which is answered.
func (c *connection) pop() {
	c.unanswered[0] = nil
	c.unanswered = c.unanswered[1:]
}

// waitsFor reports whether a command is unanswered for which is holds.
func (c *connection) waitsFor(is func(*command) bool) bool {
	for _, commands := range [][]*command{c.unanswered, c.queue} {
		for _, cmd := range commands {
			if is(cmd) {
				return true
			}
		}
	}
	return false
}

// sending is a command that is about to be written.
type sending struct {
	conn *connection
	cmd  *command // nil: nothing is sent
}

// wait waits until the command is written, or need not be: a connection that is lost is
// replaced, and the topics are subscribed to on the next one.
func (s sending) wait(ctx context.Context) error {
	if err := s.waitWritten(ctx); err != nil {
		return ctx.Err()
	}
	return nil
}

// waitWritten waits until the command is written, and returns why it is not.
func (s sending) waitWritten(ctx context.Context) error {
	if s.cmd == nil {
		if s.conn != nil && s.conn.isClosed() {
			return s.conn.cause
		}
		return nil
	}
	select {
	case <-s.cmd.written:
		return nil
	case <-s.conn.closed:
		return s.conn.cause
	case <-ctx.Done():
		return ctx.Err()
	}
}

func panicError(where string, v any) error {
	if err, ok := v.(error); ok {
		return fmt.Errorf("tracedpubsub: panic in %s: %w", where, err)
	}
	return fmt.Errorf("tracedpubsub: panic in %s: %v", where, v)
}

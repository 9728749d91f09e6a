// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// connection is a *redis.PubSub, used only as long as its first network connection lasts.
// go-redis would replace a lost connection by itself, but without back-off and without a
// report, and it forgets topics that were refused.
type connection struct {
	sub      *Subscription
	endpoint endpoint
	ps       *redis.PubSub
	dial     context.Context // for the first command, which dials

	// These fields are part of the state.
	queue      []*command // not written yet
	flushing   bool       // flush runs
	writing    *command   // the one that flush writes now
	unanswered []*command // written, and not answered, in the order of their replies
	recovered  outages    // over, and not reported yet
	evidence   evidence
	pinged     time.Time
	reading    bool // it is read, so that silence counts
	probe      *probe
	overdue    bool // it was closed before the last health check, and is still read

	messages atomic.Uint64 // how many were read
	phase    atomic.Int32  // of the goroutine that reads

	up        chan struct{} // closed when the first command is written, apart from its name
	closed    chan struct{} // closed by close
	released  chan struct{} // closed when the *redis.PubSub is closed
	closeOnce sync.Once
	cause     error // why it was closed; may be read when closed is closed

	timeout time.Duration // of the next read; used by the goroutine that reads
}

// newConnection returns a connection to a server. It does no I/O: the first command dials,
// with ctx. It returns an error if that panics, as a nil client does.
func (s *Subscription) newConnection(ctx context.Context, to endpoint) (c *connection, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("the client", v)
		}
	}()
	_, verified := s.topology.(verifier)
	if _, ok := s.topology.(*failover); ok && to.id == "" {
		verified = false // it cannot be known
	}
	return &connection{
		sub:      s,
		endpoint: to,
		// With channels, Subscribe would dial, and drop the error of the dial.
		ps:       withTimeouts(to.client).Subscribe(ctx),
		timeout:  to.firstTimeout(),
		dial:     ctx,
		evidence: evidence{opened: time.Now(), alive: time.Now(), verified: verified},
		up:       make(chan struct{}),
		closed:   make(chan struct{}),
		released: make(chan struct{}),
	}, nil
}

// canceled is the context of all calls of go-redis after the first dial. Reads and writes
// ignore it. But if go-redis tries to replace a lost connection, while it holds the mutex
// that Close needs, the dial fails at once.
var canceled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// enqueue queues commands to be written, in this order. The sending that it returns is that
// of the last command. It is part of the state.
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
		go c.flush()
	}
	return sending{conn: c, cmd: last}
}

// flush writes the queue, and returns when it is empty. It has a goroutine of its own, so
// that a slow server blocks only the calls that wait for their command.
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

// next removes the next command from the queue. It is part of the state.
func (c *connection) next() *command {
	c.writing = nil
	if len(c.queue) == 0 || c.isClosed() {
		c.flushing = false
		return nil
	}
	cmd := c.queue[0]
	c.queue = c.queue[1:]
	c.unanswered = append(c.unanswered, cmd)
	cmd.sent = time.Now()
	c.writing = cmd
	return cmd
}

// write writes cmd. It recovers from a panic of functions that the client was given, such as
// its Dialer.
func (c *connection) write(cmd *command) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("go-redis, or a function among its options", v)
		}
	}()
	if c.isUp() {
		return usable(cmd.write(canceled, c.ps))
	}
	if err := cmd.write(c.dial, c.ps); err != nil {
		return explain(usable(err))
	}
	if cmd.op != opSetName { // the command that it precedes is still to be written
		close(c.up)
	}
	return nil
}

// sameTimeout keeps the read deadline as it is. The first read, whose timeout is zero,
// removes the deadline that go-redis has set for its handshake. To remove it for each read
// would cost a tenth of a microsecond. It would also let the "relaxed" timeouts of
// go-redis' maintenance notifications end a read that only waits for a message.
const sameTimeout = -1

// receive waits for the next message or reply. go-redis decodes replies with unchecked
// type assertions, so a reply of an unexpected form makes it panic, and may leave its mutex
// locked. The connection cannot be used then.
func (c *connection) receive() (reply any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("go-redis, at an unexpected reply", v)
		}
	}()
	reply, err = c.ps.ReceiveTimeout(canceled, c.timeout)
	c.timeout = sameTimeout
	return reply, usable(err)
}

// close closes the connection, which also ends a read. It does not wait: the Close method
// of go-redis needs a mutex that a write may hold for a WriteTimeout.
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

// awaitUp waits until the connection is up. It returns the cause if it was closed, or
// ctx.Err() if ctx is canceled first.
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
		return c.closeError()
	}
	return ctx.Err()
}

// closeError returns why the connection was closed, for callers of the Subscription.
func (c *connection) closeError() error {
	if errors.Is(c.cause, errEnded) {
		return ErrClosed
	}
	return c.cause
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

// oldest returns the command that the next reply answers, or nil. It is part of the state,
// and so are pop and waitsFor.
func (c *connection) oldest() *command {
	if len(c.unanswered) == 0 {
		return nil
	}
	return c.unanswered[0]
}

// pop removes the oldest command when it is answered.
func (c *connection) pop() {
	c.unanswered[0] = nil
	c.unanswered = c.unanswered[1:]
}

// waitsFor reports whether a command that matches is queued or unanswered.
func (c *connection) waitsFor(match func(*command) bool) bool {
	for _, commands := range [][]*command{c.unanswered, c.queue} {
		for _, cmd := range commands {
			if match(cmd) {
				return true
			}
		}
	}
	return false
}

// sending is a command that is queued.
type sending struct {
	conn *connection
	cmd  *command // nil: there is no command
}

// waitWritten waits until the command is written. It returns the cause if the connection was
// closed, or ctx.Err() if ctx is canceled first.
func (s sending) waitWritten(ctx context.Context) error {
	if s.cmd == nil {
		if s.conn != nil && s.conn.isClosed() {
			return s.conn.closeError()
		}
		return nil
	}
	select {
	case <-s.cmd.written:
		return nil
	case <-s.conn.closed:
		return s.conn.closeError()
	case <-ctx.Done():
		return ctx.Err()
	}
}

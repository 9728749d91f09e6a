// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeSize is how many pieces a pipe holds until it stops reading.
const pipeSize = 64

// connection is a client's connection through a proxy.
type connection struct {
	proxy  *Proxy
	client *net.TCPConn
	server *net.TCPConn // nil in a black hole

	toServer, toClient *pipe         // nil in a black hole
	done               chan struct{} // closed when both sides are closed
	once               sync.Once

	// With proxy.mu held:
	vanished bool // neither side hears of the other anymore
	left     bool // the client has closed its side
	ended    int  // pipes that are through
}

// pipe is one direction of a connection. A goroutine reads all there is and
// another one writes when it may, so that bytes can be under way.
type pipe struct {
	conn     *connection
	from, to *net.TCPConn
	pieces   chan piece

	mu   sync.Mutex // held while it looks at the faults and obeys them
	next time.Time  // when the rate allows more
}

// piece is what was read at once.
type piece struct {
	data []byte
	read time.Time
	end  error // what reading ended with; io.EOF if it was closed in order
}

func newConnection(p *Proxy, client *net.TCPConn) *connection {
	return &connection{proxy: p, client: client, done: make(chan struct{})}
}

// connect gives the connection its other side.
func (c *connection) connect(server *net.TCPConn) {
	c.server = server
	c.toServer = &pipe{conn: c, from: c.client, to: server, pieces: make(chan piece, pipeSize)}
	c.toClient = &pipe{conn: c, from: server, to: c.client, pieces: make(chan piece, pipeSize)}
}

// start makes bytes flow.
func (c *connection) start() {
	work := &c.proxy.work
	if c.server == nil {
		work.Go(func() {
			_, _ = io.Copy(io.Discard, c.client)
			c.close(false)
		})
		return
	}
	for _, p := range []*pipe{c.toServer, c.toClient} {
		work.Go(p.read)
		work.Go(p.write)
	}
}

// close ends the connection on both sides, in order or with a reset.
func (c *connection) close(reset bool) {
	c.once.Do(func() {
		for _, side := range []*net.TCPConn{c.client, c.server} {
			if side == nil {
				continue
			}
			if reset {
				_ = side.SetLinger(0)
			}
			_ = side.Close()
		}
		c.proxy.mu.Lock()
		delete(c.proxy.conns, c)
		c.proxy.notify()
		c.proxy.mu.Unlock()
		close(c.done)
	})
}

// interrupt returns when nothing is written anymore as it was allowed before the
// faults were changed.
func (c *connection) interrupt() {
	if c.server == nil {
		return
	}
	for _, p := range []*pipe{c.toServer, c.toClient} {
		// Should the reader at the other end not read, the write ends here.
		_ = p.to.SetWriteDeadline(time.Unix(1, 0))
		p.mu.Lock() // held by who writes
		p.next = time.Time{}
		p.mu.Unlock()
	}
}

// leave notes that the client has closed its side.
func (c *connection) leave() {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.left = true
	c.proxy.notify()
}

// endOne notes that a pipe is through, and reports whether both are.
func (c *connection) endOne() bool {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.ended++
	return c.ended == 2
}

// rules returns what holds for the connection now, and a channel that is closed
// when that changes.
func (c *connection) rules() (f faults, vanished bool, changed <-chan struct{}) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	return c.proxy.faults, c.vanished, c.proxy.changed
}

func (p *pipe) read() {
	defer close(p.pieces)
	buf := make([]byte, 32<<10)
	for {
		n, err := p.from.Read(buf)
		if err != nil && p == p.conn.toServer {
			p.conn.leave()
		}
		select {
		case p.pieces <- piece{data: bytes.Clone(buf[:n]), read: time.Now(), end: err}:
		case <-p.conn.done:
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *pipe) write() {
	for next := range p.pieces {
		for {
			done, wait, changed := p.pass(&next)
			if done {
				break
			}
			if !p.pause(wait, changed) {
				return
			}
		}
	}
}

// pause returns after a while, or when something changes, or with false when the
// connection is over. A negative while has no end.
func (p *pipe) pause(wait time.Duration, changed <-chan struct{}) bool {
	if wait == 0 {
		return true
	}
	var due <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-changed:
	case <-p.conn.done:
		return false
	}
	return true
}

// pass writes as much of a piece as it may now, and takes it off. If that is not
// all, it says how long to wait.
func (p *pipe) pass(next *piece) (done bool, wait time.Duration, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// First of all: a fault that comes after this interrupts the write below.
	_ = p.to.SetWriteDeadline(time.Time{})
	f, vanished, changed := p.conn.rules()
	if vanished {
		if next.end != nil {
			_ = p.from.Close()
			if p.conn.endOne() {
				p.conn.close(false)
			}
		}
		return true, 0, changed
	}
	if f.stalled {
		return false, -1, changed
	}
	if wait := p.notBefore(next, f); wait > 0 {
		return false, wait, changed
	}

	if len(next.data) > 0 {
		n, err := p.to.Write(next.data[:p.portion(next, f)])
		next.data = next.data[n:]
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			p.conn.close(true)
			return true, 0, changed
		}
		if f.rate > 0 && p == p.conn.toClient {
			p.next = time.Now().Add(time.Duration(n) * time.Second / time.Duration(f.rate))
		}
	}
	if len(next.data) > 0 {
		return false, 0, changed
	}
	if next.end != nil {
		p.endInOrder(next.end)
	}
	return true, 0, changed
}

// notBefore returns how long a piece has to wait.
func (p *pipe) notBefore(next *piece, f faults) time.Duration {
	due := next.read.Add(f.delay)
	if f.rate > 0 && p.next.After(due) {
		due = p.next
	}
	return time.Until(due)
}

// portion returns how much of a piece may be written at once.
func (p *pipe) portion(next *piece, f faults) int {
	n := len(next.data)
	if p == p.conn.toServer {
		return n
	}
	if f.split {
		n = 1
	}
	if f.rate > 0 {
		n = min(n, max(1, f.rate/100)) // for an even flow
	}
	return n
}

// endInOrder passes on that one side has ended.
func (p *pipe) endInOrder(err error) {
	both := p.conn.endOne()
	switch {
	case !errors.Is(err, io.EOF):
		p.conn.close(true)
	case both || p == p.conn.toClient: // a server that has closed reads no more either
		p.conn.close(false)
	default:
		_ = p.to.CloseWrite()
	}
}

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// pipeSize is the number of pieces that a pipe buffers.
const pipeSize = 64

// pipe is one direction of a connection. One goroutine reads, and another one writes when the
// faults allow it.
type pipe struct {
	conn     *connection
	from, to *net.TCPConn
	pieces   chan piece
	next     time.Time // when the rate allows the next write

	// Guarded by proxy.mu:
	busy  bool // between begin and end
	obeys int  // the version of the faults that begin has returned
}

// piece is the result of one read.
type piece struct {
	data []byte
	read time.Time
	end  error // why reading has ended; io.EOF if the connection was closed normally
}

// begin returns the faults that hold now, and a channel that is closed when they change. The
// caller must call end when it has applied them.
func (p *pipe) begin() (f faults, vanished bool, changed <-chan struct{}) {
	x := p.conn.proxy
	x.mu.Lock()
	defer x.mu.Unlock()
	if p.obeys != x.version {
		p.next = time.Time{}
	}
	p.busy, p.obeys = true, x.version
	x.obeyed.Broadcast()
	return x.faults, p.conn.vanished, x.changed
}

func (p *pipe) end() {
	p.conn.proxy.mu.Lock()
	defer p.conn.proxy.mu.Unlock()
	p.busy = false
	p.conn.proxy.obeyed.Broadcast()
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

// pause returns true after wait or when changed is closed, and false when the connection is
// closed. If wait is negative, it does not end by time.
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

// pass writes as much of a piece as the faults allow now, and removes it from the piece. If
// some is left, it returns how long to wait.
func (p *pipe) pass(next *piece) (done bool, wait time.Duration, changed <-chan struct{}) {
	// Reset the deadline before begin. A change after begin sets it to interrupt the write,
	// and that must not be undone.
	_ = p.to.SetWriteDeadline(time.Time{})
	f, vanished, changed := p.begin()
	defer p.end()
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
			p.next = p.paced(next).Add(time.Duration(n) * time.Second / time.Duration(f.rate))
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

// notBefore returns how long a piece still has to wait.
func (p *pipe) notBefore(next *piece, f faults) time.Duration {
	due := next.read.Add(f.delay)
	if f.rate > 0 && p.next.After(due) {
		due = p.next
	}
	return time.Until(due)
}

// paced returns when the write that has just been done was due. A busy machine does it later, and
// that must not add up, or the rate would be far lower than the limit.
func (p *pipe) paced(written *piece) time.Time {
	switch {
	case p.next.IsZero():
		return time.Now()
	case written.read.After(p.next): // there was nothing to write
		return written.read
	}
	return p.next
}

// portion returns the number of bytes of a piece that may be written at once.
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

// endInOrder forwards the end of one side.
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

// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"io"
	"net"
	"sync"
	"time"
)

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

// interrupt returns when nothing is done anymore that another version of the
// faults, one before this, had allowed.
func (c *connection) interrupt(version int) {
	if c.server == nil {
		return
	}
	for _, p := range []*pipe{c.toServer, c.toClient} {
		// Should the reader at the other end not read, the write ends here.
		_ = p.to.SetWriteDeadline(time.Unix(1, 0))
	}
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	for _, p := range []*pipe{c.toServer, c.toClient} {
		for p.busy && p.obeys < version {
			c.proxy.obeyed.Wait()
		}
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

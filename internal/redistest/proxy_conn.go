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
	from   string // the host of the client
	client *net.TCPConn
	server *net.TCPConn // nil in a black hole

	toServer, toClient *pipe         // nil in a black hole
	done               chan struct{} // closed when both sides are closed
	once               sync.Once

	// Guarded by proxy.mu:
	vanished bool // nothing is forwarded any more, not even the end of the connection
	left     bool // the client has closed its side
	ended    int  // the number of pipes that have ended
}

func newConnection(p *Proxy, client *net.TCPConn) *connection {
	return &connection{
		proxy: p, client: client, done: make(chan struct{}),
		from: client.RemoteAddr().(*net.TCPAddr).IP.String(),
	}
}

// connect sets the connection to the server.
func (c *connection) connect(server *net.TCPConn) {
	c.server = server
	c.toServer = &pipe{conn: c, from: c.client, to: server, pieces: make(chan piece, pipeSize)}
	c.toClient = &pipe{conn: c, from: server, to: c.client, pieces: make(chan piece, pipeSize)}
}

// start starts the goroutines that forward bytes.
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

// close closes the connection on both sides, normally or with a reset.
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

// interrupt returns when both pipes obey the given version of the faults, or a later one.
func (c *connection) interrupt(version int) {
	if c.server == nil {
		return
	}
	for _, p := range []*pipe{c.toServer, c.toClient} {
		// End a write that waits because the other end does not read.
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

// endOne notes that a pipe has ended, and reports whether both have.
func (c *connection) endOne() bool {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.ended++
	return c.ended == 2
}

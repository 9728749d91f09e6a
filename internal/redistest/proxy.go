// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// proxyHost is the address of the proxies of a cluster. It is not that of the nodes, so that
// a node and its proxy can have the same port.
const proxyHost = "127.0.0.2"

// Proxy forwards TCP connections to a server, and adds the faults of a network. Faults may be
// combined. They last until they are ended, one by one or by [Proxy.Heal]. When a method
// returns, its fault is in effect for everything that the proxy has not forwarded yet.
//
// A connection is open from the time when the proxy is connected to the server, too;
// [Proxy.WaitConns] waits for that. If no server listens, a client is not refused, but its
// connection is reset.
//
// A Proxy is safe for concurrent use.
type Proxy struct {
	t      testing.TB
	addr   string
	target string
	ctx    context.Context // ends with the test
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	reserved net.PacketConn
	conns    map[*connection]bool
	accepted int
	faults   faults
	cutOff   map[string]bool // the hosts whose connections are black holes
	version  int             // of the faults; incremented by each change
	obeyed   *sync.Cond      // signaled when a pipe has read the faults, and when it has obeyed them
	changed  chan struct{}   // closed, and replaced, when one of these fields changes
}

// NewProxy starts a proxy in front of the server at target, a host and port. The proxy is
// stopped when the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	var p *Proxy
	var err error
	for range 10 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(anyPort()))
		p, err = startProxy(t, addr, target)
		if !errors.Is(err, errPortTaken) && !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	return p
}

func startProxy(t testing.TB, addr, target string) (*Proxy, error) {
	p := &Proxy{t: t, addr: addr, target: target,
		conns: make(map[*connection]bool), cutOff: make(map[string]bool), changed: make(chan struct{})}
	p.obeyed = sync.NewCond(&p.mu)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	t.Cleanup(p.cleanUp)
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.reserved, err = reserve(addr); err != nil {
		return p, err
	}
	return p, p.listen()
}

// Addr returns the host and port of the proxy.
func (p *Proxy) Addr() string { return p.addr }

// Conns returns the number of open connections of clients. A connection that was dropped
// silently counts until the client closes it.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open()
}

// Accepted returns the number of connections so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// WaitConns returns when n connections of clients are open.
func (p *Proxy) WaitConns(n int) {
	p.t.Helper()
	p.wait("open connections", n, func() (int, bool) { return p.open(), p.open() == n })
}

// WaitAccepted returns when there have been at least n connections. When connections were
// dropped silently, use it to wait until the client has connected again.
func (p *Proxy) WaitAccepted(n int) {
	p.t.Helper()
	p.wait("connections accepted", n, func() (int, bool) { return p.accepted, p.accepted >= n })
}

// wait returns when check returns true. check is called with p.mu held.
func (p *Proxy) wait(what string, want int, check func() (got int, ok bool)) {
	p.t.Helper()
	timeout := time.NewTimer(waitTimeout)
	defer timeout.Stop()
	for {
		p.mu.Lock()
		got, ok := check()
		changed := p.changed
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			p.t.Fatalf("proxy: %d %s after %v, want %d", got, what, waitTimeout, want)
		}
	}
}

// open is Conns. The caller holds p.mu.
func (p *Proxy) open() int {
	n := 0
	for c := range p.conns {
		if !c.left {
			n++
		}
	}
	return n
}

// notify wakes the goroutines that wait for a change. The caller holds p.mu.
func (p *Proxy) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// listen makes the proxy accept connections. The caller holds p.mu.
func (p *Proxy) listen() error {
	if p.listener != nil || p.ctx.Err() != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.listener = listener
	p.work.Go(func() {
		for {
			client, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				p.t.Errorf("proxy: %v", err)
				return
			}
			p.work.Go(func() { p.serve(client.(*net.TCPConn)) })
		}
	})
	return nil
}

// refuse makes the kernel refuse connections. The caller holds p.mu.
func (p *Proxy) refuse() {
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// serve serves the connection of a client.
func (p *Proxy) serve(client *net.TCPConn) {
	c := newConnection(p, client)
	p.mu.Lock()
	blackHole := p.swallows(c)
	p.mu.Unlock()
	if !blackHole {
		server, err := new(net.Dialer).DialContext(p.ctx, "tcp", p.target)
		if err != nil {
			_ = client.SetLinger(0)
			_ = client.Close()
			return
		}
		c.connect(server.(*net.TCPConn))
	}

	p.mu.Lock()
	if p.ctx.Err() != nil { // cleanUp has closed the connections that it knew
		p.mu.Unlock()
		c.close(false)
		return
	}
	c.vanished = blackHole || p.swallows(c)
	p.conns[c] = true
	p.accepted++
	p.notify()
	p.mu.Unlock()
	c.start()
}

// swallows reports whether c is a black hole if it is new. The caller holds p.mu.
func (p *Proxy) swallows(c *connection) bool { return p.faults.blackHole || p.cutOff[c.from] }

func (p *Proxy) cleanUp() {
	p.cancel()
	p.mu.Lock()
	p.refuse()
	p.mu.Unlock()
	for _, c := range p.present() {
		c.close(false)
	}
	p.work.Wait()
	if p.reserved != nil {
		_ = p.reserved.Close()
	}
}

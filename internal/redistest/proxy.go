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

// proxyHost is where the proxies of a cluster are: at an address other than
// that of the nodes, so that a node and its proxy can have the same port.
const proxyHost = "127.0.0.2"

// Proxy passes TCP connections on to a server, and does to them what networks
// do. Its faults may be combined, and those that last do so until they are taken
// back, one by one or by [Proxy.Heal]. When a method returns, its fault is in
// effect for all that the proxy has not passed on by then.
//
// A connection is present from when the proxy has its counterpart to the server;
// [Proxy.WaitConns] waits for that. Where no server listens, a client is not
// refused, but reset as soon as it is connected.
//
// The methods are safe for concurrent use.
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
	version  int           // of the faults, counted up at each change of them
	obeyed   *sync.Cond    // signaled when a pipe has looked at them, and when it has obeyed
	changed  chan struct{} // closed, and replaced, when anything here changes
}

// NewProxy starts a proxy in front of the server at target, a host and port.
// The proxy ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	var p *Proxy
	var err error
	for range 10 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(randomPort(firstPort)))
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
		conns: make(map[*connection]bool), changed: make(chan struct{})}
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

// Addr returns the proxy's address, host and port.
func (p *Proxy) Addr() string { return p.addr }

// Conns returns how many connections of clients are open, or seem so to them:
// the ones that were dropped silently are among them until the client closes
// them.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open()
}

// Accepted returns how many connections there have been.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// WaitConns returns when as many connections of clients are open as it says.
func (p *Proxy) WaitConns(n int) {
	p.t.Helper()
	p.wait("open connections", n, func() (int, bool) { return p.open(), p.open() == n })
}

// WaitAccepted returns when there have been n connections or more. Beside
// present ones that were dropped silently, it tells that the client is back.
func (p *Proxy) WaitAccepted(n int) {
	p.t.Helper()
	p.wait("connections accepted", n, func() (int, bool) { return p.accepted, p.accepted >= n })
}

// wait returns when check, which is asked with p.mu held, says so.
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

// open is Conns, with p.mu held.
func (p *Proxy) open() int {
	n := 0
	for c := range p.conns {
		if !c.left {
			n++
		}
	}
	return n
}

// notify wakes all who wait for a change. It is called with p.mu held.
func (p *Proxy) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// listen makes the proxy accept connections. It is called with p.mu held.
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

// refuse makes the kernel refuse connections. It is called with p.mu held.
func (p *Proxy) refuse() {
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// serve takes a client in.
func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	blackHole := p.faults.blackHole
	p.mu.Unlock()
	c := newConnection(p, client)
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
	if p.ctx.Err() != nil { // cleanUp has closed what was present, and does not know of this one
		p.mu.Unlock()
		c.close(false)
		return
	}
	c.vanished = blackHole || p.faults.blackHole
	p.conns[c] = true
	p.accepted++
	p.notify()
	p.mu.Unlock()
	c.start()
}

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

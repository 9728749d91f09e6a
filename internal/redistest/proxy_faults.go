// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"maps"
	"slices"
	"time"
)

// faults are the faults of all connections.
type faults struct {
	blackHole bool // of new connections
	stalled   bool
	delay     time.Duration
	split     bool
	rate      int // in bytes a second; 0: no limit
}

// Cut resets all open connections, on both sides. New connections work.
func (p *Proxy) Cut() {
	for _, c := range p.present() {
		c.close(true)
	}
}

// Refuse refuses new connections, like a server that is down. Open ones stay open; call Cut
// afterwards to reset them.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse()
}

// Accept ends Refuse and BlackHole: new connections work again.
func (p *Proxy) Accept() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.blackHole = false
	if err := p.listen(); err != nil {
		p.t.Fatalf("proxy: accept connections again: %v", err)
	}
}

// DropSilently makes all open connections half-open, for good. Both sides can still write, but
// nothing arrives, not even the end of the connection. The connection to the server stays
// open until the server or Cut closes it. New connections work.
func (p *Proxy) DropSilently() { p.drop(false) }

// BlackHole is like DropSilently, and new connections are accepted but never forwarded, until
// Accept is called.
func (p *Proxy) BlackHole() { p.drop(true) }

func (p *Proxy) drop(blackHole bool) {
	p.change(func(f *faults) {
		f.blackHole = f.blackHole || blackHole
		for c := range p.conns {
			c.vanished = true
		}
	})
}

// Stall holds back all bytes, and the ends of connections, in both directions and also on new
// connections, until Resume is called. Nothing is lost. When the buffers of the proxy and the
// kernel are full, writers have to wait.
func (p *Proxy) Stall() { p.change(func(f *faults) { f.stalled = true }) }

// Resume ends Stall.
func (p *Proxy) Resume() { p.change(func(f *faults) { f.stalled = false }) }

// Delay delays everything by d, in each direction. Zero ends the fault.
func (p *Proxy) Delay(d time.Duration) { p.change(func(f *faults) { f.delay = d }) }

// SplitBytes forwards the bytes to clients one by one. The kernel joins bytes that the client
// has not read yet, unless Throttle is used, too.
func (p *Proxy) SplitBytes(on bool) { p.change(func(f *faults) { f.split = on }) }

// Throttle limits the rate of the bytes to each client. Zero means no limit.
func (p *Proxy) Throttle(bytesPerSecond int) { p.change(func(f *faults) { f.rate = bytesPerSecond }) }

// Heal ends all faults. Connections that were dropped silently stay half-open.
func (p *Proxy) Heal() {
	p.t.Helper()
	p.change(func(f *faults) { *f = faults{} })
	p.Accept()
}

// change changes the faults, and returns when every connection obeys them.
func (p *Proxy) change(change func(*faults)) {
	p.mu.Lock()
	change(&p.faults)
	p.version++
	version := p.version
	p.notify()
	p.mu.Unlock()
	for _, c := range p.present() {
		c.interrupt(version)
	}
}

func (p *Proxy) present() []*connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.conns))
}

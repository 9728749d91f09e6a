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
func (p *Proxy) DropSilently() { p.drop(func(*faults) {}, anyConnection) }

// BlackHole is like DropSilently, and new connections are accepted but never forwarded, until
// Accept is called.
func (p *Proxy) BlackHole() { p.drop(func(f *faults) { f.blackHole = true }, anyConnection) }

// BlackHoleFrom is like BlackHole, for the connections from these hosts. All other clients
// notice nothing. The fault lasts until AcceptFrom is called.
func (p *Proxy) BlackHoleFrom(hosts ...string) {
	p.drop(func(*faults) {
		for _, host := range hosts {
			p.cutOff[host] = true
		}
	}, func(c *connection) bool { return slices.Contains(hosts, c.from) })
}

// AcceptFrom ends BlackHoleFrom: new connections from these hosts work again. It resets those
// that were dropped silently, so that nobody waits for them.
func (p *Proxy) AcceptFrom(hosts ...string) {
	p.mu.Lock()
	for _, host := range hosts {
		delete(p.cutOff, host)
	}
	var dropped []*connection
	for c := range p.conns {
		if c.vanished && slices.Contains(hosts, c.from) {
			dropped = append(dropped, c)
		}
	}
	p.mu.Unlock()
	for _, c := range dropped {
		c.close(true)
	}
}

func anyConnection(*connection) bool { return true }

// drop changes the faults, and drops connections silently.
func (p *Proxy) drop(change func(*faults), which func(*connection) bool) {
	p.change(func(f *faults) {
		change(f)
		for c := range p.conns {
			if which(c) {
				c.vanished = true
			}
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
	p.change(func(f *faults) {
		*f = faults{}
		clear(p.cutOff)
	})
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

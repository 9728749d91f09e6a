// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"maps"
	"slices"
	"time"
)

// faults are those that last, and are the same for all connections.
type faults struct {
	blackHole bool // for connections to come
	stalled   bool
	delay     time.Duration
	split     bool
	rate      int // in bytes a second; 0 is without a limit
}

// Cut resets all present connections, on both sides. New ones work.
func (p *Proxy) Cut() {
	for _, c := range p.present() {
		c.close(true)
	}
}

// Refuse makes new connections be refused, as by a server that is down. Present
// ones stay; to end them as well, call Cut after it.
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

// DropSilently makes all present connections half-open, for good: both sides may
// go on writing, and what they write is swallowed. Neither hears when the other
// closes the connection, so that the one to the server is there until the server
// closes it, or Cut. New connections work.
func (p *Proxy) DropSilently() { p.drop(false) }

// BlackHole is DropSilently for new connections, too, until Accept: they are
// accepted and never answered, and no server knows of them.
func (p *Proxy) BlackHole() { p.drop(true) }

func (p *Proxy) drop(blackHole bool) {
	p.change(func(f *faults) {
		f.blackHole = f.blackHole || blackHole
		for c := range p.conns {
			c.vanished = true
		}
	})
}

// Stall holds back all bytes and the ends of connections, in both directions and
// on new connections, too, until Resume. Nothing is lost: the proxy and the
// kernel keep some of it, and then the writers have to wait.
func (p *Proxy) Stall() { p.change(func(f *faults) { f.stalled = true }) }

// Resume ends Stall.
func (p *Proxy) Resume() { p.change(func(f *faults) { f.stalled = false }) }

// Delay makes everything arrive later by d, in each direction. Zero ends it.
func (p *Proxy) Delay(d time.Duration) { p.change(func(f *faults) { f.delay = d }) }

// SplitBytes makes the bytes to the client go out one by one. The client's
// kernel joins those that the client has not read yet; Throttle keeps them
// apart.
func (p *Proxy) SplitBytes(on bool) { p.change(func(f *faults) { f.split = on }) }

// Throttle limits the bytes a second that go to each client. Zero is without a
// limit.
func (p *Proxy) Throttle(bytesPerSecond int) { p.change(func(f *faults) { f.rate = bytesPerSecond }) }

// Heal ends all faults. What was dropped silently stays so.
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

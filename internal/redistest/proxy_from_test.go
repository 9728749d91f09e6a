// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"net"
	"syscall"
	"testing"
)

func TestProxyBlackHoleFrom(t *testing.T) {
	p, client, server := connected(t)
	needHosts(t, peerHost(0), peerHost(1))
	open, other := dialFrom(t, peerHost(0), p.Addr()), dialFrom(t, peerHost(1), p.Addr())
	wantPassage(t, open, open)
	wantPassage(t, other, other)

	p.BlackHoleFrom(peerHost(0))
	write(t, open, []byte("lost"))
	wantSilence(t, open)
	late := dialFrom(t, peerHost(0), p.Addr())
	p.WaitAccepted(4)
	write(t, late, []byte("lost"))
	wantSilence(t, late)
	wantPassage(t, client, server)
	wantPassage(t, other, other)
	echo(t, p)

	p.AcceptFrom(peerHost(1)) // it was not cut off
	wantPassage(t, other, other)
	wantSilence(t, late)

	p.AcceptFrom(peerHost(0))
	wantEnd(t, open, syscall.ECONNRESET)
	wantEnd(t, late, syscall.ECONNRESET)
	again := dialFrom(t, peerHost(0), p.Addr())
	wantPassage(t, again, again)

	p.BlackHoleFrom(peerHost(0))
	p.Heal()
	wantSilence(t, again) // it stays half-open
	healed := dialFrom(t, peerHost(0), p.Addr())
	wantPassage(t, healed, healed)
}

// dialFrom connects from another address of the loopback interface.
func dialFrom(t *testing.T, host, addr string) *net.TCPConn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

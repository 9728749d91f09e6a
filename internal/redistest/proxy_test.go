// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProxyPassesEverythingOn(t *testing.T) {
	p, client, server := connected(t)
	if p.Conns() != 1 || p.Accepted() != 1 {
		t.Errorf("%d connections open, %d accepted, want 1 and 1", p.Conns(), p.Accepted())
	}
	sent := noise(3 << 20)
	for _, way := range []struct{ from, to net.Conn }{{client, server}, {server, client}} {
		write(t, way.from, sent)
		if got := read(t, way.to, len(sent)); !bytes.Equal(got, sent) {
			t.Error("what arrived is not what was sent")
		}
	}
}

func TestProxyInFrontOfAServer(t *testing.T) {
	s := Start(t)
	p := NewProxy(t, s.Addr())
	dialRaw(t, p.Addr()).ask("PING", "PONG")
	s.Kill()
	p.WaitConns(0)
	// The proxy is there, so that nothing is refused. The reset may come before
	// the client knows that it is connected.
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connection while the server is down: %v, want %v", err, syscall.ECONNRESET)
	}
	s.Restart()
	dialRaw(t, p.Addr()).ask("PING", "PONG")
}

func TestProxyPassesEndsOn(t *testing.T) {
	t.Run("of the client", func(t *testing.T) {
		p, client, server := connected(t)
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, server, io.EOF)
		write(t, server, []byte("answer")) // the other direction is open
		if got := read(t, client, 6); string(got) != "answer" {
			t.Errorf("answer = %q", got)
		}
		_ = server.Close()
		wantEnd(t, client, io.EOF)
		p.WaitConns(0)
	})
	t.Run("of the server", func(t *testing.T) {
		p, client, server := connected(t)
		write(t, server, []byte("last words"))
		_ = server.Close()
		if got := read(t, client, 10); string(got) != "last words" {
			t.Errorf("last words = %q", got)
		}
		wantEnd(t, client, io.EOF)
		p.WaitConns(0)
	})
	t.Run("of the server, by a reset", func(t *testing.T) {
		_, client, server := connected(t)
		reset(t, server)
		wantEnd(t, client, syscall.ECONNRESET)
	})
	t.Run("of the client, by a reset", func(t *testing.T) {
		_, client, server := connected(t)
		reset(t, client)
		wantEnd(t, server, syscall.ECONNRESET)
	})
}

func TestProxyCut(t *testing.T) {
	p, client, server := connected(t)
	p.Cut()
	if got := p.Conns(); got != 0 {
		t.Errorf("%d connections open after Cut, want 0", got)
	}
	wantEnd(t, client, syscall.ECONNRESET)
	wantEnd(t, server, syscall.ECONNRESET)
	echo(t, p)
}

func TestProxyRefuse(t *testing.T) {
	p, client, server := connected(t)
	for range 2 {
		p.Refuse()
		p.Refuse() // a second time does no harm
		wantRefused(t, p.Addr())
		wantPassage(t, client, server)
		p.Accept()
		p.Accept()
		echo(t, p)
	}
}

func TestProxyStall(t *testing.T) {
	p, client, server := connected(t)
	p.Stall()
	write(t, client, []byte("question"))
	write(t, server, []byte("answer"))
	wantSilence(t, client)
	wantSilence(t, server)
	late := dialTCP(t, p.Addr())
	p.WaitAccepted(2)
	write(t, late, []byte("hello"))
	wantSilence(t, late)
	_ = server.Close()
	wantSilence(t, client) // the end is held back as well

	p.Resume()
	if got := read(t, client, 6); string(got) != "answer" {
		t.Errorf("after Resume: %q, want answer", got)
	}
	wantEnd(t, client, io.EOF)
	if got := read(t, late, 5); string(got) != "hello" {
		t.Errorf("after Resume, on the other connection: %q, want hello", got)
	}
}

// A client that reads nothing must not keep the proxy from obeying, and what was
// written in part must go on where it stopped.
func TestProxyStallInTheMiddleOfAWrite(t *testing.T) {
	p, client, server := connected(t)
	sent := noise(8 << 20)
	write(t, server, sent)
	first := read(t, client, 1) // it has begun
	for range 20 {
		p.Stall()
		p.Resume()
	}
	if got := append(first, read(t, client, len(sent)-1)...); !bytes.Equal(got, sent) {
		t.Error("what arrived is not what was sent")
	}
}

func TestProxyDropSilently(t *testing.T) {
	p, client, server := connected(t)
	p.DropSilently()
	write(t, client, []byte("question"))
	write(t, server, []byte("answer"))
	wantSilence(t, client)
	wantSilence(t, server)
	p.Heal() // what is lost is lost
	wantSilence(t, client)
	echo(t, p)

	if got := p.Conns(); got != 1 {
		t.Errorf("%d connections open, want 1: the client has not noticed", got)
	}
	_ = client.Close()
	p.WaitConns(0)
	wantSilence(t, server) // it gets no notice of that
	p.Cut()
	wantEnd(t, server, syscall.ECONNRESET)
}

func TestProxyDropSilentlyHidesTheServersEnd(t *testing.T) {
	p, client, server := connected(t)
	p.DropSilently()
	_ = server.Close()
	wantSilence(t, client)
	_ = client.Close()
	p.WaitConns(0)
}

func TestProxyBlackHole(t *testing.T) {
	p, client, server := connected(t)
	p.BlackHole()
	wantSilence(t, client)
	wantSilence(t, server)
	lost := dialTCP(t, p.Addr())
	p.WaitAccepted(2)
	write(t, lost, []byte("hello"))
	wantSilence(t, lost)
	if got := p.Conns(); got != 2 {
		t.Errorf("%d connections open, want 2", got)
	}

	p.Accept()
	echo(t, p)
	wantSilence(t, lost) // not even now
	_ = lost.Close()
	p.WaitConns(1)
	p.Cut()
	wantEnd(t, client, syscall.ECONNRESET)
}

func TestProxyDelay(t *testing.T) {
	const delay = 50 * time.Millisecond
	p, client, server := connected(t)
	p.Delay(delay)
	for _, way := range []struct{ from, to net.Conn }{{client, server}, {server, client}} {
		start := time.Now()
		for range 20 { // all of them are under way at the same time
			write(t, way.from, []byte("x"))
		}
		read(t, way.to, 20)
		if took := time.Since(start); took < delay {
			t.Errorf("arrived after %v, want %v or more", took, delay)
		}
	}
	p.Delay(time.Hour)
	write(t, client, []byte("x"))
	wantSilence(t, server)
	p.Delay(0)
	read(t, server, 1)
}

func TestProxySplitBytes(t *testing.T) {
	p, client, server := connected(t)
	p.SplitBytes(true)
	// How many of the bytes a read gets depends on who is faster. One by one
	// they come when there is time in between.
	p.Throttle(200)
	waitFor(t, "an answer byte by byte", func(context.Context) error {
		write(t, server, []byte("+PONG\r\n"))
		if got := reads(t, client, 7); !slices.Equal(got, []int{1, 1, 1, 1, 1, 1, 1}) {
			return fmt.Errorf("reads of the client = %v", got)
		}
		return nil
	})

	p.Throttle(0)
	write(t, server, bytes.Repeat([]byte("+PONG\r\n"), 1000))
	if got := read(t, client, 7000); !bytes.Equal(got, bytes.Repeat([]byte("+PONG\r\n"), 1000)) {
		t.Error("what arrived is not what was sent")
	}
	write(t, client, []byte("+PING\r\n"))
	if got := reads(t, server, 7); !slices.Equal(got, []int{7}) {
		t.Errorf("reads of the server = %v, want one: only the way to the client is split", got)
	}
	p.SplitBytes(false)
	write(t, server, []byte("+PONG\r\n"))
	if got := reads(t, client, 7); !slices.Equal(got, []int{7}) {
		t.Errorf("reads of the client afterwards = %v, want one", got)
	}
}

func TestProxyThrottle(t *testing.T) {
	p, client, server := connected(t)
	p.Throttle(10_000)
	start := time.Now()
	write(t, server, make([]byte, 1000))
	read(t, client, 1000)
	if took := time.Since(start); took < 90*time.Millisecond { // the first hundredth goes at once
		t.Errorf("1000 bytes took %v at 10000 a second, want 90 ms or more", took)
	}
	p.Throttle(1)
	write(t, server, make([]byte, 1<<20))
	read(t, client, 1)
	wantSilence(t, client)
	p.Throttle(0)
	read(t, client, 1<<20-1)
}

func TestProxyEndsWithTheTest(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*Proxy)
	}{
		{"without a fault", func(*Proxy) {}},
		{"refusing", (*Proxy).Refuse},
		{"stalled", (*Proxy).Stall},
		{"half-open", (*Proxy).DropSilently},
		{"as a black hole", (*Proxy).BlackHole},
		{"slow", func(p *Proxy) { p.Throttle(1) }},
		{"late", func(p *Proxy) { p.Delay(time.Hour) }},
		{"cut", (*Proxy).Cut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := goroutines()
			var p *Proxy
			var client, server net.Conn
			t.Run("its test", func(inner *testing.T) {
				listener := listenTCP(t)
				p = NewProxy(inner, listener.Addr().String())
				client, server = through(t, p, listener)
				tt.do(p)
				for _, conn := range []net.Conn{client, server} {
					_, _ = conn.Write(make([]byte, 10_000)) // may have been cut
				}
				if p.listener != nil {
					dialTCP(t, p.Addr()) // maybe not even accepted when the test ends
				}
			})
			if stacks := leaked(before, leakTimeout); stacks != nil {
				t.Errorf("goroutines left:\n%s", strings.Join(stacks, "\n\n"))
			}
			wantRefused(t, p.Addr())
			for _, conn := range []net.Conn{client, server} {
				setReadDeadline(t, conn, waitTimeout)
				if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("read after the test: %v, want the end", err)
				}
			}
			p.Heal() // too late, and no harm
			wantRefused(t, p.Addr())
		})
	}
}

// connected returns a proxy and the two ends of a connection through it.
func connected(t *testing.T) (p *Proxy, client, server *net.TCPConn) {
	t.Helper()
	listener := listenTCP(t)
	p = NewProxy(t, listener.Addr().String())
	client, server = through(t, p, listener)
	go func() { // who comes later is served by an echo
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return p, client, server
}

func through(t *testing.T, p *Proxy, listener net.Listener) (client, server *net.TCPConn) {
	t.Helper()
	client = dialTCP(t, p.Addr())
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p.WaitConns(1)
	return client, conn.(*net.TCPConn)
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

// echo checks that a new connection through the proxy works.
func echo(t *testing.T, p *Proxy) {
	t.Helper()
	n := p.Conns()
	conn := dialTCP(t, p.Addr())
	wantPassage(t, conn, conn)
	_ = conn.Close()
	p.WaitConns(n)
}

// wantPassage checks that what is written to one end arrives at the other.
func wantPassage(t *testing.T, from, to net.Conn) {
	t.Helper()
	write(t, from, []byte("ping"))
	if got := read(t, to, 4); string(got) != "ping" {
		t.Fatalf("arrived: %q, want ping", got)
	}
}

// noise returns bytes that show when some are lost or in the wrong place.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// write does not wait for the reader.
func write(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	if len(b) <= 10_000 { // the kernel takes that at once
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		return
	}
	done := make(chan error, 1)
	go func() {
		_, err := conn.Write(b)
		done <- err
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		if err := <-done; err != nil {
			t.Errorf("write: %v", err)
		}
	})
}

func read(t *testing.T, conn net.Conn, n int) []byte {
	t.Helper()
	setReadDeadline(t, conn, waitTimeout)
	b := make([]byte, n)
	if got, err := io.ReadFull(conn, b); err != nil {
		t.Fatalf("read: %d of %d bytes, %v", got, n, err)
	}
	return b
}

// reads returns how many bytes each read got, up to n in all.
func reads(t *testing.T, conn net.Conn, n int) []int {
	t.Helper()
	setReadDeadline(t, conn, waitTimeout)
	var counts []int
	for n > 0 {
		got, err := conn.Read(make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, got)
		n -= got
	}
	return counts
}

func wantEnd(t *testing.T, conn net.Conn, want error) {
	t.Helper()
	setReadDeadline(t, conn, waitTimeout)
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, want) {
		t.Fatalf("read: %d bytes, %v, want %v", n, err, want)
	}
}

// reset ends a connection so that the other end gets a reset.
func reset(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	if err := conn.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

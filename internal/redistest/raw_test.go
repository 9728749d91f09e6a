// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
)

// rawClient is a connection that does nothing by itself: what a test sees
// through it is what was on the wire.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dialRaw(t *testing.T, addr string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawClient{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// ask sends a command and checks the next reply.
func (c *rawClient) ask(command, want string) {
	c.t.Helper()
	c.send(command)
	c.want(want)
}

func (c *rawClient) send(command string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, command+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// want checks the next reply, or what the server pushed. The parts of an array
// stand side by side, with a space in between.
func (c *rawClient) want(want string) {
	c.t.Helper()
	setReadDeadline(c.t, c.conn, waitTimeout)
	if got, err := c.reply(); err != nil || got != want {
		c.t.Fatalf("the server says %q, %v, want %q", got, err, want)
	}
}

// wantFromNewOwner checks what happens to a subscription on a replica that has become the owner
// of its channel. With Redis 7.0 it stays, and other servers end it, as on a node that has lost
// the channel.
func (c *rawClient) wantFromNewOwner(channel string, owner *Server) {
	c.t.Helper()
	publisher := dialRaw(c.t, owner.Addr())
	publisher.send("SPUBLISH " + channel + " hello")
	setReadDeadline(c.t, publisher.conn, waitTimeout)
	switch got, err := publisher.reply(); {
	case got == "1" && err == nil:
		c.want("smessage " + channel + " hello")
	case got == "0" && err == nil:
		c.want("sunsubscribe " + channel + " 0")
	default:
		c.t.Fatalf("the server says %q, %v, want 0 or 1", got, err)
	}
}

// wantEnd checks that the connection has ended, and how.
func (c *rawClient) wantEnd(want error) {
	c.t.Helper()
	setReadDeadline(c.t, c.conn, waitTimeout)
	if got, err := c.reply(); got != "" || !errors.Is(err, want) {
		c.t.Fatalf("the server says %q, %v, want %v", got, err, want)
	}
}

func (c *rawClient) reply() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return line, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	switch line[0] {
	case '$':
		n, err := strconv.Atoi(line[1:])
		if err != nil {
			return "", err
		}
		text := make([]byte, n+2)
		_, err = io.ReadFull(c.r, text)
		return string(text[:n]), err
	case '*':
		n, err := strconv.Atoi(line[1:])
		if err != nil {
			return "", err
		}
		parts := make([]string, n)
		for i := range parts {
			if parts[i], err = c.reply(); err != nil {
				return "", err
			}
		}
		return strings.Join(parts, " "), nil
	case ':', '+', '-':
		return line[1:], nil
	}
	return "", fmt.Errorf("unexpected reply %q", line)
}

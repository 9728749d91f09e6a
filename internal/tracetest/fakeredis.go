// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// FakeRedis is a server with the replies of a test. It speaks as much of the protocol as
// go-redis needs to subscribe.
type FakeRedis struct {
	listener net.Listener
	serve    func(c *FakeConn, command []string)

	mu    sync.Mutex
	conns []*FakeConn
	all   sync.WaitGroup
}

// FakeConn is a connection to a FakeRedis.
type FakeConn struct {
	net.Conn

	Number   int  // from 1, in the order in which connections were accepted
	resp3    bool // the client asked for RESP3 and got it
	channels int  // that it is subscribed to
}

// StartFakeRedis starts a server that calls serve with each command. Where a test does
// not care about a command, serve calls c.Answer.
func StartFakeRedis(t *testing.T, serve func(c *FakeConn, command []string)) *FakeRedis {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &FakeRedis{listener: listener, serve: serve}
	f.all.Go(f.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			_ = c.Close()
		}
		f.mu.Unlock()
		f.all.Wait()
	})
	return f
}

// Addr returns the address of the server.
func (f *FakeRedis) Addr() string { return f.listener.Addr().String() }

// Connections returns how many connections there have been.
func (f *FakeRedis) Connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

func (f *FakeRedis) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		c := &FakeConn{Conn: conn, Number: len(f.conns) + 1}
		f.conns = append(f.conns, c)
		f.mu.Unlock()
		f.all.Go(func() {
			defer c.Close()
			in := bufio.NewReader(c)
			for {
				command, err := readCommand(in)
				if err != nil {
					return
				}
				f.serve(c, command)
			}
		})
	}
}

func readCommand(in *bufio.Reader) ([]string, error) {
	number := func(prefix byte) (int, error) {
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line[0] != prefix {
			return 0, fmt.Errorf("not a command: %q", line)
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number('*')
	if err != nil {
		return nil, err
	}
	var command []string
	for range n {
		size, err := number('$')
		if err != nil {
			return nil, err
		}
		arg := make([]byte, size+2)
		if _, err := io.ReadFull(in, arg); err != nil {
			return nil, err
		}
		command = append(command, string(arg[:size]))
	}
	command[0] = strings.ToLower(command[0])
	return command, nil
}

// Send writes reply as it is. It ignores errors, as the client may have gone.
func (c *FakeConn) Send(reply string) { _, _ = io.WriteString(c, reply) }

// push sends an array of bulk strings, or a push in RESP3. A text that begins with a
// colon becomes a number.
func (c *FakeConn) push(texts ...string) {
	var reply strings.Builder
	mark := "*"
	if c.resp3 {
		mark = ">"
	}
	_, _ = fmt.Fprintf(&reply, "%s%d\r\n", mark, len(texts))
	for _, text := range texts {
		if strings.HasPrefix(text, ":") {
			_, _ = fmt.Fprintf(&reply, "%s\r\n", text)
		} else {
			_, _ = fmt.Fprintf(&reply, "$%d\r\n%s\r\n", len(text), text)
		}
	}
	c.Send(reply.String())
}

// Answer sends the reply of Redis to a command.
func (c *FakeConn) Answer(command []string) {
	switch name := command[0]; name {
	case "hello":
		if c.resp3 = len(command) > 1 && command[1] == "3"; c.resp3 {
			c.Send("%1\r\n$5\r\nproto\r\n:3\r\n")
		} else {
			c.Send("*2\r\n$5\r\nproto\r\n:2\r\n")
		}
	case "subscribe":
		for _, channel := range command[1:] {
			c.Confirm(channel)
		}
	case "unsubscribe":
		for _, channel := range command[1:] {
			c.channels--
			c.push(name, channel, ":"+strconv.Itoa(c.channels))
		}
	case "ping":
		if c.resp3 {
			c.Send("+PONG\r\n")
		} else {
			c.push("pong", "")
		}
	default:
		c.Send("-ERR unknown command '" + name + "'\r\n")
	}
}

// Confirm confirms the subscription to a channel.
func (c *FakeConn) Confirm(channel string) {
	c.channels++
	c.push("subscribe", channel, ":"+strconv.Itoa(c.channels))
}

// Message sends a message.
func (c *FakeConn) Message(channel, payload string) { c.push("message", channel, payload) }

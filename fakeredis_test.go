// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

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

// fakeRedis is a server that says what a test wants and no Redis would. It
// speaks as much of the protocol as go-redis needs to subscribe.
type fakeRedis struct {
	listener net.Listener
	serve    func(c *fakeConn, command []string)

	mu    sync.Mutex
	conns []*fakeConn
	all   sync.WaitGroup
}

// fakeConn is a connection to a fakeRedis.
type fakeConn struct {
	net.Conn

	number int  // from 1, in the order in which they came
	resp3  bool // the client has asked for it, and got it
	names  int  // that are subscribed to
}

// startFakeRedis starts one that calls serve with each command. Most tests let
// fakeConn.answer deal with what they do not care about.
func startFakeRedis(t *testing.T, serve func(c *fakeConn, command []string)) *fakeRedis {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeRedis{listener: listener, serve: serve}
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

func (f *fakeRedis) addr() string { return f.listener.Addr().String() }

// connections is how many there have been.
func (f *fakeRedis) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

func (f *fakeRedis) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		c := &fakeConn{Conn: conn, number: len(f.conns) + 1}
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
			return 0, fmt.Errorf("no command: %q", line)
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

// send sends bytes as they are. Whether the client is still there to read them,
// is not the business of the server.
func (c *fakeConn) send(reply string) { _, _ = io.WriteString(c, reply) }

// push sends a reply of bulk strings; a text that begins with a colon is a number.
func (c *fakeConn) push(texts ...string) {
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
	c.send(reply.String())
}

// answer answers as Redis would.
func (c *fakeConn) answer(command []string) {
	switch name := command[0]; name {
	case "hello":
		if c.resp3 = len(command) > 1 && command[1] == "3"; c.resp3 {
			c.send("%1\r\n$5\r\nproto\r\n:3\r\n")
		} else {
			c.send("*2\r\n$5\r\nproto\r\n:2\r\n")
		}
	case "subscribe":
		for _, channel := range command[1:] {
			c.confirm(channel)
		}
	case "unsubscribe":
		for _, channel := range command[1:] {
			c.names--
			c.push(name, channel, ":"+strconv.Itoa(c.names))
		}
	case "ping":
		if c.resp3 {
			c.send("+PONG\r\n")
		} else {
			c.push("pong", "")
		}
	default:
		c.send("-ERR unknown command '" + name + "'\r\n")
	}
}

func (c *fakeConn) confirm(channel string) {
	c.names++
	c.push("subscribe", channel, ":"+strconv.Itoa(c.names))
}

func (c *fakeConn) message(channel, payload string) { c.push("message", channel, payload) }

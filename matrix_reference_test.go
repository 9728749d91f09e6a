// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/tracedpubsub/tracedpubsub"
)

// hear writes down what comes on a channel, until the connection is lost. It
// knows just enough of the protocol, and nothing of go-redis.
func hear(ctx context.Context, addr, channel string, ready func(), h *history) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	command := "SUBSCRIBE"
	if isSharded(channel) {
		command = "SSUBSCRIBE"
	}
	if _, err := fmt.Fprintf(conn, "%s %s\r\n", command, channel); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	for {
		parts, err := readPush(r)
		if err != nil {
			return err
		}
		switch parts[0] {
		case "subscribe", "ssubscribe":
			ready()
		case "message", "smessage":
			envelope, err := tracedpubsub.Decode(parts[2])
			if err != nil {
				envelope.Payload = err.Error() // which is none that the publisher has sent
			}
			h.add(parts[1], envelope.Payload)
		default:
			return errors.New(parts[0]) // sunsubscribe
		}
	}
}

// readPush reads an array of strings and numbers.
func readPush(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*')
	if err != nil {
		return nil, err
	}
	parts := make([]string, n)
	for i := range parts {
		kind, err := r.Peek(1)
		if err != nil {
			return nil, err
		}
		if kind[0] == ':' {
			if _, err := r.ReadString('\n'); err != nil {
				return nil, err
			}
			continue
		}
		size, err := readLength(r, '$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		parts[i] = string(text[:size])
	}
	return parts, nil
}

func readLength(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" || line[0] != kind {
		return 0, fmt.Errorf("the server says %s", line)
	}
	return strconv.Atoi(line[1:])
}

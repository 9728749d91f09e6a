// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// startReference subscribes to all channels of the scene, each on a connection of its own
// to its server, and returns when the servers have confirmed it.
func (s *scene) startReference(t *testing.T) {
	t.Helper()
	var loops sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		loops.Wait()
	})
	var confirmed sync.WaitGroup
	for _, channel := range slices.Concat(s.classic, s.sharded) {
		confirmed.Add(1)
		ready := sync.OnceFunc(confirmed.Done)
		addrs := slices.Clone(s.publisher.addrs[channel])
		loops.Go(func() { follow(ctx, addrs, channel, ready, s.reference) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		confirmed.Wait()
	}()
	select {
	case <-done:
	case <-time.After(tracetest.Patience):
		cancel()
		t.Fatal("the reference is not ready")
	}
}

// follow is the reference for one channel. It connects again as soon as a connection is
// lost, and follows the channel to its owner.
func follow(ctx context.Context, addrs []string, channel string, ready func(), h *history) {
	tick := time.NewTicker(publishInterval)
	defer tick.Stop()
	for {
		err := readChannel(ctx, addrs[0], channel, ready, h)
		if _, owner, moved := strings.Cut(err.Error(), "MOVED "); moved {
			_, addr, _ := strings.Cut(owner, " ")
			addrs = slices.Insert(slices.DeleteFunc(addrs, func(a string) bool { return a == addr }), 0, addr)
		} else {
			addrs = append(addrs[1:], addrs[0])
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// readChannel adds the messages of a channel to h, until the connection is lost. It
// speaks as much of the protocol as it needs, without go-redis.
func readChannel(ctx context.Context, addr, channel string, ready func(), h *history) error {
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
				envelope.Payload = err.Error() // which the publisher has not sent
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
		return 0, fmt.Errorf("unexpected reply %s", line)
	}
	return strconv.Atoi(line[1:])
}
